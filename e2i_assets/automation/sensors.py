"""Sensors: a committed load asks for a run of each partition that it touched, until one has answered."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import dagster as dg

from e2i_assets.assets.attribute_names import LOAD as LOAD_CONTAINED
from e2i_assets.automation.attempts import LOAD, MAX_ATTEMPTS, attempts_of, next_step
from e2i_assets.automation.jobs import REFRESH, served_assets
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.automation.unreadable import alerting
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.partitions import wrong_files
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.alerts import raise_alert
from e2i_assets.warehouse.queries.loads import newest_loads
from e2i_assets.warehouse.warehouse import Warehouse

NEWEST_RAW = "raw/patient_journeys"
READERS = 16
"""Pointers that are read at the same time: of object storage one takes tens of milliseconds."""


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
    @alerting
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


def published(
    store: ArtifactStore, asset: str, partitions: Iterable[str]
) -> Iterator[tuple[str, Published | ArtifactRefused | None]]:
    """Partition to what is published of an asset, or to why it cannot be read."""

    def read(partition: str) -> Published | ArtifactRefused | None:
        try:
            return store.current(asset, partition)
        except ArtifactRefused as error:
            return error

    keys = list(partitions)
    with ThreadPoolExecutor(READERS) as readers:
        yield from zip(keys, readers.map(read, keys), strict=True)


def _requests(
    context: dg.SensorEvaluationContext, settings: Settings, warehouse: Warehouse, store: ArtifactStore
) -> Iterator[dg.RunRequest]:
    """What is to be run; the cursor keeps the loads about which nothing is left to be done."""
    known = loaded_cohort_configs(context, settings.config_dir)
    touched = newest_loads(warehouse)
    newest = {
        key: touched[name] for key, one in known.items() if (name := one.partition_key.touched) in touched
    }
    settled: dict[str, int] = json.loads(context.cursor or "{}")
    waiting = {key: load for key, load in newest.items() if settled.get(key) != load.load_id}
    if not waiting:
        return
    assert context.repository_def is not None
    keys = sorted(context.repository_def.asset_graph.executable_asset_keys)
    scopes = load_scopes(settings.config_dir / "scopes")
    stages = {key: served_assets(keys, known[key].scopes, scopes) for key in waiting}
    since = min(load.committed_at for load in waiting.values())
    attempts = attempts_of(context.instance, warehouse, stages, since)
    now = datetime.now(UTC)
    for partition, raw in published(store, NEWEST_RAW, waiting):
        load = waiting[partition].load_id
        if isinstance(raw, ArtifactRefused):
            tell(context, warehouse, unreadable("new_data_sensor", partition, load, raw))
            continue
        extracted_by = raw.run_id if raw and raw.attributes[LOAD_CONTAINED] == load else None
        step = next_step(load, extracted_by, attempts[partition], now)
        if step is not None and step.alert:
            tell(context, warehouse, _given_up(partition, load))
        if step is None or step.alert:
            settled[partition] = load
        elif step.number is not None:
            yield _request(partition, load, step.number, stages[partition])
    context.update_cursor(json.dumps({key: settled[key] for key in sorted(settled.keys() & newest.keys())}))


def _request(partition: str, load: int, attempt: int, stages: list[dg.AssetKey]) -> dg.RunRequest:
    return dg.RunRequest(
        # Dagster never runs the same key twice: a tick repeated after a crash starts nothing new.
        run_key=f"{partition}-load-{load}-attempt-{attempt}",
        partition_key=partition,
        asset_selection=stages,
        tags={LOAD: str(load)},
    )


def _given_up(partition: str, load: int) -> Alert:
    return Alert(
        "refresh",
        "high",
        subject=f"refresh of {partition}",
        message=f"{partition}: {MAX_ATTEMPTS} runs for load {load} died before a stage answered; none is "
        "requested any more.",
        next_step=f"Read the last one's error in Dagit, mend it, then: e2i materialize -p {partition}",
        partition=partition,
        details={"load": load, "attempts": MAX_ATTEMPTS},
    )


def unreadable(sensor: str, partition: str, load: int, error: ArtifactRefused) -> Alert:
    """What is published of a partition cannot be read, so that a sensor requests nothing of it."""
    return Alert(
        "sensor",
        "high",
        subject=f"{sensor} of {partition}",
        message=f"{partition}: no run is requested for load {load}. {error}",
        next_step=error.next_step or f"e2i materialize -p {partition} --force",
        partition=partition,
        details={"load": load},
    )


def tell(context: dg.SensorEvaluationContext, warehouse: Warehouse, alert: Alert) -> None:
    """Log an alert, and raise it."""
    context.log.error(f"{alert.message} {alert.next_step}")
    raise_alert(warehouse, alert)
