"""Raw tables: what the warehouse holds of one partition, as one consistent set of Parquet extracts.

One step makes all that a run selects, from one snapshot of the warehouse: a load that commits meanwhile is in
none of them (https://docs.dagster.io/guides/build/assets/defining-assets#multi-asset).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import LOAD, LOADS, NEWEST, SNAPSHOT
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.ingest import attributes
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.partitions import partitions
from e2i_assets.quality.freshness import newest_record
from e2i_assets.resources.retries import lost_connections_retried
from e2i_assets.stages.code_version import code_version
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.recipe import RECIPES, Recipe, stage_context_of
from e2i_assets.stages.stage import RESOURCES, StageResult, make
from e2i_assets.warehouse.snapshots import Snapshot
from e2i_assets.warehouse.table_status import TableStatus


def build_raw_assets() -> list[dg.AssetsDefinition]:
    """One asset for each table that partitions have rows of, all made by one step."""
    version = code_version(__name__)
    keys = {dg.AssetKey(["raw", name]): name for name in RAW_TABLES}

    @dg.multi_asset(
        name="raw",
        specs=[_spec(key, name, version) for key, name in keys.items()],
        partitions_def=partitions(),
        can_subset=True,
        required_resource_keys=RESOURCES,
    )
    def raw(context: dg.AssetExecutionContext) -> Iterator[Any]:
        asked = StageContext(context, {})
        brand, indication = asked.cohort_config.partition_key
        results: list[Any] = []
        with (
            lost_connections_retried(),
            context.resources.warehouse.snapshot(brand, indication) as snapshot,
        ):
            stage = stage_context_of(context, __name__, _configuration(asked, snapshot.load), {})
            for key in sorted(context.selected_asset_keys):
                results += make(stage, key, partial(_extract, stage, keys[key], snapshot))
        # Published when all are made.
        yield from results

    RECIPES[raw.op] = Recipe(__name__, config=_configuration_now)
    return [raw]


def _spec(key: dg.AssetKey, name: str, version: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        group_name="raw",
        description=f"{TABLES[name].__doc__} Extract of one partition.",
        kinds={"postgres", "parquet"},
        code_version=version,
        skippable=True,
        metadata={
            "dagster/io_manager_key": "io_manager",
            "dagster/column_schema": shown.contract_schema(name),
        },
    )


def _extract(context: StageContext, name: str, snapshot: Snapshot) -> StageResult:
    extract = snapshot.extract(name)
    declared = context.cohort_config.attributes
    frame = extract.frame
    if attributes.COLUMN in frame.columns:
        frame = attributes.expand(frame, declared)
    return StageResult(
        RawTable(frame),
        metadata={
            "dagster/partition_row_count": frame.height,
            "dagster/column_schema": shown.raw_schema(name, frame, declared),
            "load": snapshot.load,
            **_shown(extract.status),
        },
        attributes={
            LOAD: snapshot.load,
            LOADS: list(snapshot.loads),
            SNAPSHOT: extract.snapshot,
            NEWEST: newest.isoformat() if (newest := newest_record(name, frame)) else None,
        },
    )


def _shown(status: TableStatus) -> dict[str, Any]:
    """Dates rather than ages: what was published says the same for ever."""
    load = status.last_load
    return {
        "rejected_rows": status.rejected,
        "first_date": str(status.first_date or "none"),
        "last_date": str(status.last_date or "none"),
        "last_arrival": status.last_arrival.isoformat() if status.last_arrival else "not recorded",
        "last_load": f"{load.load_id} of {load.source}, {load.committed_at:%Y-%m-%d %H:%M %Z}"
        if load
        else "none",
    }


def _configuration_now(context: StageContext) -> dict[str, Any]:
    return _configuration(context, context.warehouse.watermark(*context.cohort_config.partition_key))


def _configuration(context: StageContext, load: int | None) -> dict[str, Any]:
    cohort_config = context.cohort_config
    if load is None:
        brand, indication = cohort_config.partition_key
        raise dg.Failure(
            f"the warehouse has no rows of {brand}/{indication}: load some with `e2i data import`, or with "
            "`e2i data generate` if it is one of the partitions that come with the platform.",
            allow_retries=False,
        )
    return {"load": load, "cohort_config": cohort_config.model_dump(mode="json")}
