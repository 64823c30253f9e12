"""Fail closed: the gates of the QC report, and the quality gate of the splits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any

import polars as pl

from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.gates.qc_report import Origin, Quality
from e2i_assets.gates.splits import SplitResult
from e2i_assets.modeling import SplitValidation
from e2i_assets.modeling.splits.assignment import Stability
from e2i_assets.quality import QualityConfig, build_qc_report, grade_splits
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, quality_config

JOURNEYS = "patient_journeys"
Tables = dict[str, pl.DataFrame]
LOADS: Mapping[str, Any] = dict.fromkeys(RAW_TABLES, 1)


@cache
def clean() -> Tables:
    return clean_tables(60)


def dropped(name: str, column: str) -> Tables:
    return {**clean(), name: clean()[name].drop(column)}


def each(cut: Callable[[pl.DataFrame], pl.DataFrame]) -> Tables:
    return {name: cut(frame) for name, frame in clean().items()}


def nobodys_gender() -> Tables:
    return {**clean(), JOURNEYS: clean()[JOURNEYS].with_columns(gender=pl.lit(None, pl.String))}


def without_zone() -> Tables:
    naive = pl.col("source_timestamp").dt.replace_time_zone(None)
    return {**clean(), JOURNEYS: clean()[JOURNEYS].with_columns(naive)}


def idle() -> QualityConfig:
    """Settings whose only rule has nothing to judge."""
    config = quality_config("triggers")
    (suite,) = config.suites
    rules = tuple(e for e in suite.expectations if "confidence_score" in e.columns)
    return config.model_copy(update={"suites": (suite.model_copy(update={"expectations": rules}),)})


def judged(make: Callable[[], Tables], loads: Mapping[str, Any] = LOADS, config: Any = None) -> Quality:
    report = build_qc_report(
        make(), attributes=ATTRIBUTES, raw_versions={}, config=config or quality_config("causal_paths")
    )
    return Quality(report, {table: Origin(load, "7:7:") for table, load in loads.items()})


def unscored() -> Tables:
    nothing = pl.lit(None, pl.Float64)
    return {**clean(), "triggers": clean()["triggers"].with_columns(confidence_score=nothing)}


VALID = SplitValidation(is_valid=True, violations=(), broken=(), ratios={}, counts={})
STABLE = Stability(kept=0, new=0, moved=0)
TRAIN = clean()[JOURNEYS].select("patient_journey_id", "age_at_diagnosis").to_pandas()


def split(make: Callable[[], Tables], **frames: Any) -> SplitResult:
    tables = make()
    graded = grade_splits(
        {"train": TRAIN} | frames, tables, quality_config("causal_paths"), attributes=ATTRIBUTES
    )
    return SplitResult(VALID, {}, STABLE, graded)


def afresh() -> Any:
    """The grading in a process that imports it only now."""
    name = "e2i_assets.quality.splits"
    imported = sys.modules.pop(name)
    try:
        return import_module(name)
    finally:
        sys.modules[name] = imported


NO_BLOCKERS = {
    "missing column": Case(partial(judged, partial(dropped, JOURNEYS, "diagnosis_date")), "quality_blockers"),
    "missing library": Case(partial(judged, clean), "missing_library", without="great_expectations"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(judged, partial(each, pl.DataFrame.clear)), "quality_blockers"),
    "all-null column": Case(partial(judged, nobodys_gender), "quality_blockers"),
    "one row": Case(partial(judged, partial(each, lambda f: f.head(1))), "quality_blockers"),
    "wrong time zone": Case(partial(judged, without_zone), "quality_blockers"),
    "nothing evaluated": Case(lambda: judged(unscored, config=idle()), "quality_blockers"),
}
QC_SCORE = {
    "missing column": Case(partial(judged, partial(dropped, "triggers", "priority")), "not_graded"),
    "missing library": Case(partial(judged, clean), "missing_library", without="great_expectations"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(judged, partial(each, pl.DataFrame.clear)), "score_below_threshold"),
    "all-null column": Case(partial(judged, nobodys_gender), "not_graded"),
    "one row": Case(
        partial(judged, lambda: {**clean(), "causal_paths": clean()["causal_paths"].head(1)}), "not_graded"
    ),
    "wrong time zone": Case(partial(judged, without_zone), "not_graded"),
    "nothing evaluated": Case(partial(judged, dict), "score_below_threshold"),
}
SAME_SNAPSHOT = {
    "missing column": Case(partial(judged, clean, {**LOADS, "triggers": None}), "unknown_load"),
    "missing library": Case(partial(judged, clean), "missing_library", without="great_expectations"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(judged, dict, {}), "nothing_evaluated"),
    "all-null column": Case(partial(judged, clean, dict.fromkeys(RAW_TABLES)), "unknown_load"),
    "one row": Case(partial(judged, clean, {JOURNEYS: 1}), "unknown_load"),
    "wrong time zone": Case(
        partial(judged, clean, dict.fromkeys(RAW_TABLES, "2024-03-01T00:00:00+09:00")), "unknown_load"
    ),
    "nothing evaluated": Case(partial(judged, dict, {}), "nothing_evaluated"),
}
SPLIT_QUALITY = {
    "missing column": Case(partial(split, partial(dropped, "triggers", "patient_journey_id")), "not_graded"),
    "missing library": Case(afresh, "missing_library", without="pandas"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(split, partial(each, pl.DataFrame.clear)), "not_graded"),
    "all-null column": Case(partial(split, clean, train=TRAIN.assign(patient_journey_id=None)), "not_graded"),
    "one row": Case(partial(split, clean, holdout=TRAIN.head(1)), "not_graded"),
    "wrong time zone": Case(partial(split, without_zone), "not_graded"),
    "nothing evaluated": Case(lambda: SplitResult(VALID, {}, STABLE), "nothing_evaluated"),
}
CASES: Cases = {
    "no_blockers": NO_BLOCKERS,
    "qc_score": QC_SCORE,
    "same_snapshot": SAME_SNAPSHOT,
    "split_quality": SPLIT_QUALITY,
}
