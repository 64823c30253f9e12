"""The report on small extracts, with and without the suites of Great Expectations."""

from __future__ import annotations

from typing import Any

import polars as pl

from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.quality import QCReport, QualityConfig, build_qc_report
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, quality_config

JOURNEYS, EVENTS = "patient_journeys", "treatment_events"
WITH_SUITES = quality_config("causal_paths", "triggers")
CONFIG = WITH_SUITES.model_copy(update={"suites": ()})
"""Without suites, which take most of a report's time: for what the other layers say."""
VERSIONS = {name: f"v-{name}" for name in RAW_TABLES}


def report(tables: dict[str, pl.DataFrame], config: QualityConfig = CONFIG, **partition: Any) -> QCReport:
    return build_qc_report(tables, attributes=ATTRIBUTES, raw_versions=VERSIONS, config=config, **partition)


def first(column: str, value: object, rows: int = 3) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
