import json
import sys
from datetime import date

import polars as pl
import pytest

from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.json_files import to_json
from e2i_assets.quality.broken_rows import broken_rows
from e2i_assets.quality.plausibility import LifeDates
from e2i_assets_tests.unit.quality_frames import clean_tables
from e2i_assets_tests.unit.quality_reports import CONFIG, EVENTS, JOURNEYS, WITH_SUITES, first, report


@pytest.fixture(scope="module")
def tables():
    return clean_tables(60)


BLOCKED = {
    "missing column": (JOURNEYS, lambda f: f.drop("diagnosis_date"), "schema", "diagnosis_date:missing_column"),
    "missing attribute": (JOURNEYS, lambda f: f.drop("uas7"), "schema", "uas7:missing_column"),
    "wrong type": (
        JOURNEYS, lambda f: f.cast({"age_at_diagnosis": pl.String}), "schema", "age_at_diagnosis:wrong_type",
    ),
    "null key": (JOURNEYS, lambda f: f.with_columns(first("patient_id", None)), "schema", "patient_id:null"),
    "all-null column": (
        JOURNEYS, lambda f: f.with_columns(brand=pl.lit(None, pl.String)), "schema", "brand:null",
    ),
    "duplicate key": (
        EVENTS, lambda f: f.with_columns(first("treatment_event_id", "e9")), "schema", "treatment_event_id:duplicate",
    ),
    "dangling foreign key": (
        EVENTS, lambda f: f.with_columns(first("patient_journey_id", "gone")), "schema", "patient_journey_id:reference",
    ),
    "another patient's journey": (
        EVENTS, lambda f: f.with_columns(first("patient_id", "p0", 100)), "schema", "patient_id:patient_of_journey",
    ),
    "out of range": (
        JOURNEYS, lambda f: f.with_columns(first("age_at_diagnosis", 200)), "schema", "age_at_diagnosis:high",
    ),
    "not in the closed set": (JOURNEYS, lambda f: f.with_columns(first("gender", "X")), "schema", "gender:allowed"),
    "infinite": (EVENTS, lambda f: f.with_columns(first("cost", float("inf"))), "schema", "cost:not_finite"),
    "open end": (
        JOURNEYS, lambda f: f.with_columns(first("last_observation_date", date(9999, 12, 31))),
        "schema", "last_observation_date:after_extract",
    ),
    "year of two digits": (
        JOURNEYS, lambda f: f.with_columns(first("first_observation_date", date(23, 1, 1))),
        "schema", "first_observation_date:too_early",
    ),
    "index after the extract": (
        JOURNEYS, lambda f: f.with_columns(first("diagnosis_date", date(2025, 1, 1))),
        "schema", "diagnosis_date:after_extract",
    ),
    "event after the extract": (
        EVENTS, lambda f: f.with_columns(first("event_date", date(2025, 1, 1))),
        "schema", "event_date:after_extract",
    ),
    "time without zone": (
        EVENTS,
        lambda f: f.with_columns(pl.col("source_timestamp").dt.replace_time_zone(None)),
        "schema", "source_timestamp:wrong_type",
    ),
    "copies": (
        EVENTS,
        lambda f: pl.concat([f, f.head(30).with_columns(treatment_event_id="x" + pl.col("treatment_event_id"))]),
        "dimension", "uniqueness",
    ),
    "mostly empty": (
        "hcp_profiles",
        lambda f: f.with_columns(pl.lit(None).cast(d).alias(c) for c, d in f.schema.items() if c != "hcp_id"),
        "dimension", "completeness",
    ),
    "no journeys": (JOURNEYS, lambda f: f.clear(), "empty_table", "rows"),
    "suite that fails": (
        "triggers",
        lambda f: f.with_columns(first("lead_time_days", 400), first("priority", "x"), first("hcp_id", "x"), confidence_score=pl.lit(0.0)),
        "suite", "triggers",
    ),
    "suite that cannot be run": ("triggers", lambda f: f.drop("priority"), "suite_error", "triggers"),
}  # fmt: skip


@pytest.mark.parametrize("case", BLOCKED)
def test_each_fault_blocks(tables, case):
    name, spoil, reason, rule = BLOCKED[case]
    judged = report({**tables, name: spoil(tables[name])}, WITH_SUITES if "suite" in reason else CONFIG)
    assert judged.status == "failed"
    blockers = {(b.reason, b.table, b.rule) for b in judged.blockers}
    assert (reason, name, rule) in blockers
    assert judged.fix_first.startswith("Fix first: ")


def test_a_missing_or_unknown_table_blocks(tables):
    judged = report({n: f for n, f in tables.items() if n != "hcp_profiles"} | {"extra": tables["triggers"]})
    blockers = {(b.reason, b.table) for b in judged.blockers}
    assert {("missing_table", "hcp_profiles"), ("unknown_table", "extra")} <= blockers


def test_nothing_at_all_blocks():
    judged = report({})
    assert judged.score == 0
    assert {b.table for b in judged.blockers if b.reason == "missing_table"} == set(RAW_TABLES)
    assert "score" in {b.reason for b in judged.blockers}


def test_a_low_score_blocks(tables):
    strict = CONFIG.model_copy(update={"block_below_score": 1.0})
    assert [b.reason for b in report(tables, strict).blockers] == ["score"]


def test_a_suite_that_evaluates_nothing_blocks(tables):
    rule = next(e for s in WITH_SUITES.suites for e in s.expectations if "confidence_score" in e.columns)
    idle = next(s for s in WITH_SUITES.suites if s.suite == "triggers").model_copy(
        update={"expectations": (rule,)}
    )
    nothing = tables["triggers"].with_columns(confidence_score=pl.lit(None, pl.Float64))
    judged = report({**tables, "triggers": nothing}, CONFIG.model_copy(update={"suites": (idle,)}))
    assert ("suite", "triggers") in {(b.reason, b.rule) for b in judged.blockers}
    assert "nothing was evaluated" in judged.blockers[0].message


def test_a_missing_library_blocks(tables, monkeypatch):
    """An outage is not bad data: it is raised, and the stage's gates all refuse by the library's name."""
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    with pytest.raises(ImportError, match="great_expectations"):
        report(tables, WITH_SUITES)


def test_an_exception_inside_a_suite_blocks(tables, monkeypatch):
    from great_expectations.datasource.fluent.interfaces import Batch

    def explode(*_, **__):
        raise RuntimeError("could not convert 'Jane Doe'")

    monkeypatch.setattr(Batch, "validate", explode)
    judged = report(tables, WITH_SUITES)
    assert [b.reason for b in judged.blockers] == ["suite_error", "suite_error"]
    assert "RuntimeError" in judged.blockers[0].message
    assert "Jane" not in json.dumps(to_json(judged))


def test_of_a_partition_without_journeys_nothing_else_is_said(tables):
    """Its source was removed: every extract is cut by the journeys."""
    judged = report({name: frame.clear() for name, frame in tables.items()})
    (blocker,) = judged.blockers
    assert (blocker.reason, blocker.table) == ("empty_table", JOURNEYS)
    assert judged.score < CONFIG.block_below_score
    assert judged.fix_first == f"Fix first: {blocker.message}."


def test_an_empty_table_that_is_not_required_warns_and_does_not_count_as_good(tables):
    judged = report({**tables, "triggers": tables["triggers"].clear()}, required=[JOURNEYS])
    assert judged.status == "warning"
    assert judged.passed
    assert any(w.startswith("triggers: no rows") for w in judged.warnings)
    refused = report({**tables, "triggers": tables["triggers"].clear()}, WITH_SUITES)
    assert {(b.reason, b.table) for b in refused.blockers} == {
        ("empty_table", "triggers"),
        ("suite", "triggers"),
    }


def test_a_day_later_than_the_record_by_the_clock_of_a_zone_is_none_too_late(tables):
    recorded = pl.col("source_timestamp").dt.date()
    edge = tables[EVENTS].with_columns(event_date=recorded + pl.duration(days=1))
    assert report({**tables, EVENTS: edge}).passed
    late = tables[EVENTS].with_columns(event_date=recorded + pl.duration(days=2))
    (blocker,) = [b for b in report({**tables, EVENTS: late}).blockers if b.reason == "schema"]
    assert "event_date: rule after_extract broken in 180 of 180 rows" in blocker.message


LIFE = LifeDates(index="diagnosis_date", birth="born", death="died")
DATES = {
    "birth after the index date": (
        {"born": pl.col("diagnosis_date") + pl.duration(days=1)}, "born:birth_after_index",
    ),
    "birth in a year of two digits": ({"born": pl.lit(date(64, 1, 1))}, "born:too_early"),
    "birth after death": (
        {"born": pl.lit(date(2021, 1, 2)), "died": pl.lit(date(2021, 1, 1))}, "born:birth_after_death",
    ),
    "death after the record": ({"died": pl.lit(date(9999, 12, 31))}, "died:after_extract"),
    "events before birth": ({"born": pl.lit(date(2022, 5, 31))}, "event_date:event_before_birth"),
}  # fmt: skip


def lived(tables, **days):
    known = {"born": pl.lit(date(1970, 1, 1)), "died": pl.lit(None, pl.Date), **days}
    return {**tables, JOURNEYS: tables[JOURNEYS].with_columns(**known)}


def test_the_rows_behind_a_count_are_told_by_their_keys(tables):
    late = pl.when(pl.int_range(pl.len()) == 5).then(pl.lit(date(9999, 12, 31)))
    changed = lived(
        {**tables, EVENTS: tables[EVENTS].with_columns(event_date=late.otherwise("event_date"))},
        born=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit(date(64, 1, 1))).otherwise(date(1970, 1, 1)),
    )
    assert [(row.table, row.key, row.column, row.rule) for row in broken_rows(changed, LIFE)] == [
        (EVENTS, tables[EVENTS]["treatment_event_id"][5], "event_date", "after_extract"),
        (JOURNEYS, tables[JOURNEYS]["patient_journey_id"][7], "born", "too_early"),
    ]
    assert not list(broken_rows(lived(tables), LIFE))
    judged = report(changed, dates=LIFE)
    assert "e2i data check" in judged.fix_first
    assert not any(row.key in str(to_json(judged)) for row in broken_rows(changed, LIFE))


@pytest.mark.parametrize("case", DATES)
def test_days_that_contradict_each_other_block(tables, case):
    days, rule = DATES[case]
    judged = report(lived(tables, **days), dates=LIFE)
    assert rule in {b.rule for b in judged.blockers if b.reason == "date"}
    assert report(lived(tables, **days)).passed


def test_who_died_before_the_index_date_is_named_and_blocks_nobody_else(tables):
    early = pl.when(pl.int_range(pl.len()) < 7).then(pl.col("diagnosis_date") - pl.duration(days=60))
    judged = report(lived(tables, died=early), dates=LIFE)
    assert judged.passed
    assert any("died: rule death_before_index broken in 7 of 60 rows" in w for w in judged.warnings)
