"""Raw tables: what the warehouse holds of one programme, as one consistent set of Parquet extracts."""

from __future__ import annotations

from typing import Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.artifacts import RawTable
from e2i_assets.contracts.tables import TABLES
from e2i_assets.gates.context import StageContext
from e2i_assets.gates.stage import Made, stage
from e2i_assets.ingest import attributes
from e2i_assets.ingest.loader import Programme
from e2i_assets.resources.holdings import Holding

LOAD = "load"
"""Attribute of a raw version: the last committed load that it contains."""


def build_raw_assets() -> list[dg.AssetsDefinition]:
    """One asset for each table of the contracts."""
    return [_raw_asset(name) for name in TABLES]


def _raw_asset(name: str) -> dg.AssetsDefinition:
    @stage(
        key=dg.AssetKey(["raw", name]),
        group="raw",
        description=f"{TABLES[name].__doc__} Extract of one programme.",
        kinds={"postgres", "parquet"},
        code=("assets/raw.py", "contracts", "resources/warehouse.py", "ingest/attributes.py"),
        config=lambda context: {"load": _watermark(context), "programme": context.programme.to_dict()},
        refusals=(attributes.AttributeMismatch,),
        metadata={"dagster/column_schema": shown.contract_schema(name)},
    )
    def raw(context: StageContext) -> Made:
        load = context.config["load"]
        extract = frame = context.warehouse.extract(name, *_programme(context))
        if attributes.COLUMN in frame.columns:
            frame = attributes.expand(frame, context.programme.attributes)
        return Made(
            RawTable(frame),
            metadata={
                "dagster/partition_row_count": frame.height,
                "dagster/column_schema": shown.raw_schema(name, frame, context.programme.attributes),
                "load": load,
                **_shown(context.warehouse.status_of_extract(name, _programme(context), extract)),
            },
            attributes={LOAD: load},
        )

    return raw


def _shown(holding: Holding) -> dict[str, Any]:
    """Dates rather than ages: what was published says the same for ever."""
    load = holding.last_load
    return {
        "rejected_rows": holding.rejected,
        "first_date": str(holding.first_date or "none"),
        "last_date": str(holding.last_date or "none"),
        "last_arrival": holding.last_arrival.isoformat() if holding.last_arrival else "not recorded",
        "last_load": f"{load.load_id} of {load.source}, {load.committed_at:%Y-%m-%d %H:%M %Z}"
        if load
        else "none",
    }


def _programme(context: StageContext) -> Programme:
    return context.programme.brand, context.programme.indication


def _watermark(context: StageContext) -> int:
    programme = context.programme
    load = context.warehouse.watermark(programme.brand, programme.indication)
    if load is None:
        raise dg.Failure(
            f"the warehouse has no rows of {programme.brand}/{programme.indication}: load data first with "
            "`e2i data generate` or `e2i data import`.",
            allow_retries=False,
        )
    return load
