"""Sensors: a committed load asks for a run of each partition that it touched, until one has answered."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import dagster as dg

from e2i_assets.automation.attempts import LOAD, MAX_ATTEMPTS, attempts_of, next_step
from e2i_assets.automation.jobs import REFRESH, served_assets
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.partitions import wrong_files
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse

NEWEST_RAW = "raw/patient_journeys"


def build_new_data_sensor() -> dg.SensorDefinition:
    """The sensor over `ml_load_batches`."""

    @dg.sensor(
        job_name=REFRESH,
        name="new_data_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "warehouse", "store"},
        description="Requests a run of each partition whose newest load no run of all stages has answered.",
    )
    def new_data_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        resources = context.resources
        requests = list(_requests(context, resources.settings, resources.warehouse, resources.store))
        yield from requests
        wrong = wrong_files(resources.settings.config_dir)
        for partition, reason in wrong.items():
            context.log.error(f"{partition} is left out: {reason}")
        if not requests:
            left_out = f"; left out for a wrong file: {', '.join(wrong)}" if wrong else ""
            yield dg.SkipReason(f"no load is waiting for a run{left_out}")

    return new_data_sensor


def _published(
    context: dg.SensorEvaluationContext, store: ArtifactStore, partitions: Iterable[str]
) -> Iterator[tuple[str, Published | None]]:
    """Partition to its raw tables; without those of which it cannot be read, which is logged."""
    for key in partitions:
        try:
            yield key, store.current(NEWEST_RAW, key)
        except ArtifactRefused as error:
            context.log.error(error.summary)


def _requests(
    context: dg.SensorEvaluationContext, settings: Settings, warehouse: Warehouse, store: ArtifactStore
) -> Iterator[dg.RunRequest]:
    known = loaded_cohort_configs(context, settings.config_dir)
    assert context.repository_def is not None
    keys = sorted(context.repository_def.asset_graph.executable_asset_keys)
    scopes = load_scopes(settings.config_dir / "scopes")
    for partition, raw in _published(context, store, list(known)):
        load = warehouse.watermark(known[partition].brand, known[partition].indication)
        if load is None:
            continue
        stages = served_assets(keys, known[partition].scopes, scopes)
        extracted_by = raw.run_id if raw and raw.attributes["load"] == load else None
        attempts = attempts_of(context.instance, warehouse, partition, stages)
        step = next_step(load, extracted_by, attempts, datetime.now(UTC))
        if step is not None and step.alert:
            context.log.error(
                f"{partition}: {MAX_ATTEMPTS} runs for load {load} died before a stage answered; none is "
                f"requested any more. Read the last one's error, then: e2i materialize -p {partition}"
            )
        if step is None or step.number is None:
            continue
        yield dg.RunRequest(
            # Dagster never runs the same key twice: a tick repeated after a crash starts nothing new.
            run_key=f"{partition}-load-{load}-attempt-{step.number}",
            partition_key=partition,
            asset_selection=stages,
            tags={LOAD: str(load)},
        )
