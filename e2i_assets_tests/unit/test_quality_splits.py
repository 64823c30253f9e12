from datetime import timedelta

import pandas as pd
import polars as pl
import pytest

from e2i_assets.gates.splits import SPLIT_QUALITY, SplitResult
from e2i_assets.modeling import SplitValidation
from e2i_assets.modeling.splits.assignment import Stability
from e2i_assets.quality import UngradedSplit, grade_splits
from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.dimensions import grade_table, overall
from e2i_assets.quality.splits import split_tables
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, quality_config

JOURNEYS, EVENTS = "patient_journeys", "treatment_events"
CONFIG = quality_config("causal_paths")
PARTS = {"train": (0, 60), "validation": (60, 80), "test": (80, 95), "holdout": (95, 100)}


@pytest.fixture(scope="module")
def tables():
    return clean_tables(100)


def frames(tables):
    rows = tables[JOURNEYS].select("patient_journey_id", "age_at_diagnosis", "gender").to_pandas()
    return {name: rows.iloc[low:high].reset_index(drop=True) for name, (low, high) in PARTS.items()}


def grades(tables, made=None, not_collected=()):
    graded = grade_splits(
        made or frames(tables), tables, CONFIG, attributes=ATTRIBUTES, not_collected=not_collected
    )
    return {q.split: q for q in graded}


def rows_from(column, value, low):
    return pl.when(pl.int_range(pl.len()) >= low).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


def test_clean_splits_are_good(tables):
    graded = grades(tables)
    assert {name: (q.rows, q.status) for name, q in graded.items()} == {
        name: (high - low, "passed") for name, (low, high) in PARTS.items()
    }
    assert all(q.dimensions[d] > 0.99 for q in graded.values() for d in DIMENSIONS)


def test_the_gate_wants_every_split_graded(tables):
    graded = tuple(grades(tables).values())
    valid = SplitValidation(is_valid=True, violations=(), broken=(), ratios={}, counts={})
    for i in range(len(graded)):
        made = SplitResult(valid, {}, Stability(0, 1, 0), graded[:i] + graded[i + 1 :])
        verdict = SPLIT_QUALITY.verdict(made)
        assert (verdict.reason, verdict.message) == ("not_graded", f"{graded[i].split} not graded.")
    assert SPLIT_QUALITY.verdict(SplitResult(valid, {}, Stability(0, 1, 0), graded)).passed


def test_a_fault_costs_the_split_that_has_it_and_no_other(tables):
    spoiled = tables[JOURNEYS].with_columns(
        rows_from("insurance_type", None, 80), rows_from("disease_severity", float("inf"), 95)
    )
    clean, graded = grades(tables), grades({**tables, JOURNEYS: spoiled})
    for dimension, worse in (("completeness", ["test", "holdout"]), ("validity", ["holdout"])):
        fell = [n for n in PARTS if graded[n].dimensions[dimension] < clean[n].dimensions[dimension]]
        assert fell == worse


def test_together_the_splits_are_the_whole(tables):
    """Each journey's rows are graded in its own split, once."""
    spoiled = {
        **tables,
        EVENTS: tables[EVENTS].with_columns(rows_from("cost", None, 170), rows_from("event_type", "x", 280)),
    }
    whole = grade_table(EVENTS, spoiled, CONFIG)
    parts = [t for q in grades(spoiled).values() for t in q.tables if t.table == EVENTS]
    assert sum(t.rows for t in parts) == whole.rows
    for dimension in ("consistency", "timeliness"):
        assert overall(parts)[dimension] == pytest.approx(whole.scores[dimension])


def test_a_column_that_differs_between_splits_costs_consistency(tables):
    made = frames(tables)
    made["test"] = made["test"].astype({"age_at_diagnosis": float})
    graded = grades(tables, made)
    assert all(q.dimensions["consistency"] == pytest.approx(2 / 3) for q in graded.values())
    made["holdout"] = made["holdout"].drop(columns="gender")
    assert grades(tables, made)["train"].columns_matched == pytest.approx(1 / 3)


def test_late_and_patchy_rows_fail_the_split(tables):
    bad = tables[JOURNEYS].with_columns(
        *[rows_from(c, None, 95) for c in ("gender", "insurance_type", "geographic_region", "diagnosis_code")],
        patient_id=pl.when(pl.int_range(pl.len()) >= 95).then(pl.lit("p")).otherwise("patient_id"),
        ingestion_timestamp=pl.col("source_timestamp")
        + pl.when(pl.int_range(pl.len()) >= 95).then(timedelta(days=99)).otherwise(timedelta(days=1)),
    )  # fmt: skip
    late = tables[EVENTS].with_columns(ingestion_timestamp=pl.col("source_timestamp") + timedelta(days=31))
    graded = grades({**tables, JOURNEYS: bad, EVENTS: late})
    assert graded["holdout"].score < 0.80
    assert graded["holdout"].status == "failed"
    assert graded["train"].status == "warning"


def test_brand_figures_belong_to_no_split():
    assert split_tables() == [
        "hcp_profiles", "patient_journeys", "treatment_events", "ml_predictions", "triggers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda made, tables: tables.pop(EVENTS), "raw tables missing: treatment_events"),
        (
            lambda made, tables: tables.update({EVENTS: tables[EVENTS].drop("patient_journey_id")}),
            "no column",
        ),
        (
            lambda made, tables: made.update(test=made["test"].drop(columns="patient_journey_id")),
            "split test",
        ),
        (lambda made, tables: made.update(test=pd.concat([made["test"]] * 2)), "30 journeys, 15 of them"),
        (lambda made, tables: tables.update({JOURNEYS: tables[JOURNEYS].head(90)}), "split test has 15"),
    ],
)
def test_what_cannot_be_graded_is_refused(tables, spoil, message):
    made, given = frames(tables), dict(tables)
    spoil(made, given)
    with pytest.raises(UngradedSplit, match=message):
        grade_splits(made, given, CONFIG, attributes=ATTRIBUTES)
