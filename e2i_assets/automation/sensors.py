"""Sensors: a committed load asks for a run of each partition that it touched."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from e2i_assets.automation.jobs import REFRESH, served_assets
from e2i_assets.modeling.scope import load_scopes
from e2i_assets.partitions import programmes, wrong_files
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings

NEWEST_RAW = "raw/patient_journeys"


@dataclass(frozen=True)
class Due:
    """A partition whose warehouse rows are newer than its raw tables."""

    partition: str
    load: int


def due(loads: Mapping[str, int | None], published: Mapping[str, int | None]) -> list[Due]:
    """Partitions that a load has touched since their raw tables were extracted.

    Args:
        loads: partition to the last committed load that touched it; None when none ever did.
        published: partition to the load that its published raw tables contain; None when there are none.
    """
    return [
        Due(partition, load)
        for partition, load in loads.items()
        if load is not None and load != published.get(partition)
    ]


def build_new_data_sensor() -> dg.SensorDefinition:
    """The sensor over `ml_load_batches`."""

    @dg.sensor(
        job_name=REFRESH,
        name="new_data_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"settings", "warehouse", "store"},
        description="Requests a run of each partition that a committed load touched.",
    )
    def new_data_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        resources = context.resources
        requests = list(_requests(context, resources.settings, resources.warehouse, resources.store))
        yield from requests
        wrong = wrong_files(resources.settings.config_dir)
        for partition, said in wrong.items():
            context.log.error(f"{partition} is left out: {said}")
        if not requests:
            left_out = f"; left out for a wrong file: {', '.join(wrong)}" if wrong else ""
            yield dg.SkipReason(f"no load since the last extracts{left_out}")

    return new_data_sensor


def _published(
    context: dg.SensorEvaluationContext, store: ArtifactStore, partitions: Iterable[str]
) -> Iterator[tuple[str, int | None]]:
    """Partition to the load in its raw tables; without those of which it cannot be read, which is logged."""
    for key in partitions:
        try:
            current = store.current(NEWEST_RAW, key)
        except ArtifactRefused as error:
            context.log.error(str(error))
        else:
            yield key, current.attributes["load"] if current else None


def _requests(
    context: dg.SensorEvaluationContext, settings: Settings, warehouse: Warehouse, store: ArtifactStore
) -> Iterator[dg.RunRequest]:
    known = programmes(settings.config_dir)
    loads = {key: warehouse.watermark(p.brand, p.indication) for key, p in known.items()}
    published = dict(_published(context, store, list(known)))
    loads = {key: load for key, load in loads.items() if key in published}
    assert context.repository_def is not None
    keys = sorted(context.repository_def.asset_graph.executable_asset_keys)
    scopes = load_scopes(settings.config_dir / "scopes")
    for item in due(loads, published):
        yield dg.RunRequest(
            # The load is part of the key: Dagster never runs the same key twice.
            run_key=f"{item.partition}-load-{item.load}",
            partition_key=item.partition,
            asset_selection=served_assets(keys, known[item.partition].scopes, scopes),
            tags={"e2i/load": str(item.load)},
        )
