"""Sensor: versions that left production long enough ago are archived."""

from collections.abc import Iterator

import dagster as dg

from e2i_assets.automation.unreadable import alerting
from e2i_assets.resources.model_registry import ModelRegistry


def build_retirement_sensor() -> dg.SensorDefinition:
    """The sensor over the registry and the calendar."""

    @dg.sensor(
        name="retirement_sensor",
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "warehouse", "tracking"},
        description="Archives what left production as long ago as the rules say; requests no run.",
    )
    @alerting
    def retirement_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SkipReason]:
        resources = context.resources
        registry = ModelRegistry(resources.settings, resources.warehouse, resources.tracking)
        archived = [moved.version.title for moved in registry.archive_retired()]
        yield dg.SkipReason(
            f"archived {', '.join(archived)}" if archived else "nothing is due to be archived"
        )

    return retirement_sensor
