"""Versions that left production long enough ago are archived: by a sensor, or by a job of its own."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from e2i_assets.automation.jobs import ARCHIVE
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
        yield dg.SkipReason(_archive(context.resources))

    return retirement_sensor


def build_archive_job() -> dg.JobDefinition:
    """The same as a run that is on record: for a schedule, or for whoever has turned the sensor off."""

    @dg.op(required_resource_keys={"settings", "warehouse", "tracking"})
    def archive_retired(context: dg.OpExecutionContext) -> None:
        context.log.info(_archive(context.resources))

    @dg.job(name=ARCHIVE, description="Archives what left production as long ago as the rules say.")
    def archive() -> None:
        archive_retired()

    return archive


def _archive(resources: Any) -> str:
    registry = ModelRegistry(resources.settings, resources.warehouse, resources.tracking)
    archived = [moved.version.title for moved in registry.archive_retired()]
    return f"archived {', '.join(archived)}" if archived else "nothing is due to be archived"
