import json
import re
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from e2i_assets.config_files import parse_yaml
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.contracts.undeclared import how_to_declare
from e2i_assets.contracts.variables import Attribute
from e2i_assets.json_files import from_json, to_json
from e2i_assets.quality import QCReport, build_qc_report, dimension_chart
from e2i_assets.quality.broken_rows import broken_rows
from e2i_assets.quality.plausibility import LifeDates
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, declared, quality_config

CONFIG = quality_config("causal_paths", "triggers")
VERSIONS = {name: f"v-{name}" for name in RAW_TABLES}


@pytest.fixture(scope="module")
def tables():
    return clean_tables(60)


@pytest.fixture(scope="module")
def clean(tables):
    return report(tables)


def report(tables, config=CONFIG, **partition):
    return build_qc_report(tables, attributes=ATTRIBUTES, raw_versions=VERSIONS, config=config, **partition)


def first(column, value, rows=3):
    return pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


def test_clean_tables_pass(clean):
    assert (clean.status, clean.blockers, clean.warnings) == ("passed", (), ())
    assert clean.passed
    assert clean.score > 0.99
    assert clean.raw_versions == VERSIONS
    assert clean.table_rows["treatment_events"] == 180


JOURNEYS, EVENTS = "patient_journeys", "treatment_events"
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
    judged = report({**tables, name: spoil(tables[name])})
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
    rule = next(e for s in CONFIG.suites for e in s.expectations if "confidence_score" in e.columns)
    idle = next(s for s in CONFIG.suites if s.suite == "triggers").model_copy(
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
        report(tables)


def test_an_exception_inside_a_suite_blocks(tables, monkeypatch):
    from great_expectations.datasource.fluent.interfaces import Batch

    def explode(*_, **__):
        raise RuntimeError("could not convert 'Jane Doe'")

    monkeypatch.setattr(Batch, "validate", explode)
    judged = report(tables)
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
    refused = report({**tables, "triggers": tables["triggers"].clear()})
    assert {(b.reason, b.table) for b in refused.blockers} == {
        ("empty_table", "triggers"),
        ("suite", "triggers"),
    }


def test_late_rows_cost_their_share_of_the_score(tables, clean):
    late = {
        name: f.with_columns(ingestion_timestamp=pl.col("source_timestamp") + timedelta(days=31))
        if "ingestion_timestamp" in f.columns
        else f
        for name, f in tables.items()
    }
    judged = report(late)
    assert judged.status == "warning"
    assert judged.dimensions["timeliness"] == 0
    assert judged.score == pytest.approx(clean.score - 0.15)
    assert judged.lowest_dimension == "timeliness"


def test_patients_alone_can_pass(tables):
    alone = {n: f if n == JOURNEYS else f.clear() for n, f in tables.items()}
    alone[JOURNEYS] = alone[JOURNEYS].with_columns(hcp_id=pl.lit(None, pl.String))
    judged = report(alone, required=[JOURNEYS], not_collected={JOURNEYS: ["hcp_id"]})
    assert judged.status == "warning"
    assert judged.score > 0.9


def test_a_column_that_nobody_collects_is_no_gap(tables):
    patchy = {**tables, JOURNEYS: tables[JOURNEYS].with_columns(gender=pl.lit(None, pl.String))}
    assert [(b.reason, b.rule) for b in report(patchy).blockers] == [("all_null", "gender")]
    assert report(patchy).dimensions["completeness"] < report(tables).dimensions["completeness"]
    excused = report(patchy, not_collected={JOURNEYS: ["gender"]})
    assert excused.dimensions["completeness"] > report(patchy).dimensions["completeness"]


def test_a_column_that_the_cohort_file_does_not_have_is_reported_with_the_line_to_add(tables):
    extra = tables[JOURNEYS].with_columns(
        pl.lit(1).alias("cd420"), pl.lit("x").alias("stage: T"), pl.int_range(pl.len()).alias("Unnamed: 0")
    )
    warned = report({**tables, JOURNEYS: extra})
    assert warned.status == "warning"
    assert [w.partition(": ")[0] for w in warned.warnings] == [
        "patient_journeys.cd420", "patient_journeys.stage", "patient_journeys.Unnamed",
    ]  # fmt: skip
    number, text, rows = warned.warnings
    assert "add `cd420: {dtype: integer, available_at: index}`" in number
    assert '`"stage: T": {dtype: string, role: post_outcome, available_at: outcome}`' in text
    assert "leave_out" in rows
    attributes = {**ATTRIBUTES, "cd420": declared("integer"), "stage: T": declared("string")}
    remaining = {**tables, JOURNEYS: extra.drop("Unnamed: 0")}
    assert (
        build_qc_report(remaining, attributes=attributes, raw_versions=VERSIONS, config=CONFIG).warnings == ()
    )


@pytest.mark.parametrize(
    "name", ["cd420", "stage: T", 'it\'s "so"', "true", "1", "- x", "a#b", "é\\n", "{x}"]
)
def test_the_lines_to_add_are_read_as_they_are_meant(name):
    text = how_to_declare(pl.Series(name, [1.5]))
    early, late = re.findall(r"`([^`]+)`", text)
    for line, role, known in ((early, "feature", True), (late, "post_outcome", False)):
        ((key, facts),) = parse_yaml(line, Path("cohort.yaml"))[0].items()
        attribute = Attribute(**facts)
        assert (key, attribute.dtype, attribute.role, attribute.known_at_index) == (
            name,
            "number",
            role,
            known,
        )


def test_an_attribute_without_its_availability_is_reported_with_the_line_to_add(tables):
    named = {
        name: Attribute(dtype=dtype, role=role)
        for name, dtype, role in (
            ("uas7", "integer", "feature"), ("pregnancy_status", "boolean", "treatment"),
            ("subtype", "string", "audit"), ("biopsy_date", "date", "feature"),
        )
    }  # fmt: skip
    made = build_qc_report(tables, attributes=ATTRIBUTES | named, raw_versions=VERSIONS, config=CONFIG)
    assert [w.partition(": ")[0] for w in made.warnings] == [
        "patient_journeys.uas7", "patient_journeys.pregnancy_status",
    ]  # fmt: skip
    assert all("add `available_at: index` to its attribute" in warned for warned in made.warnings)


def test_below_a_threshold_warns_without_blocking(tables):
    thin = tables[JOURNEYS].with_columns(
        first(c, None, 59).cast(d).alias(c)
        for c, d in tables[JOURNEYS].schema.items()
        if c in ("insurance_type", "diagnosis_code", "geographic_region", "engagement_score", "academic_hcp")
    )
    judged = report({**tables, JOURNEYS: thin})
    assert judged.status == "warning"
    assert judged.lowest_dimension == "completeness"
    assert judged.fix_first == (
        f"Lowest is completeness ({judged.dimensions['completeness']:.3f}): "
        "start with patient_journeys, academic_hcp (59 of 60); fill it at the source, or name it under "
        "not_collected in the cohort file."
    )


def test_a_dimension_that_could_not_be_graded_is_the_lowest_and_says_so(tables):
    timeless = {n: f for n, f in tables.items() if n not in (JOURNEYS, EVENTS)}
    judged = report(timeless)
    assert judged.dimensions["timeliness"] is None
    assert judged.lowest_dimension == "timeliness"
    assert "no table could be graded on it" in judged.fix_first


def test_what_to_fix_first_names_the_blocker_and_the_lowest_dimension(tables):
    spoiled = tables[JOURNEYS].with_columns(first("gender", "X", 30))
    judged = report({**tables, JOURNEYS: spoiled})
    assert judged.fix_first.startswith(
        "Fix first: patient_journeys.gender: rule allowed broken in 30 of 60 rows; correct the source"
    )
    assert (
        f"Lowest is validity ({judged.dimensions['validity']:.3f}): start with patient_journeys, gender"
        in (judged.fix_first)
    )


def test_a_kept_report_is_read_again_with_its_pages_beside_it(clean, tmp_path):
    clean.save(tmp_path)
    assert QCReport.load(tmp_path) == clean
    docs = tmp_path / "data_docs"
    assert {p.name for p in docs.iterdir()} == {"index.html", *(f"{s.suite}.html" for s in clean.suites)}
    assert 'href="data_docs/index.html"' in (tmp_path / "report.html").read_text()
    for suite in clean.suites:
        assert f'href="{suite.suite}.html"' in (docs / "index.html").read_text()


def test_the_report_survives_json_and_is_the_same_every_time(tables, clean):
    assert from_json(QCReport, json.loads(json.dumps(to_json(clean)))) == clean
    again = report({name: tables[name] for name in reversed(RAW_TABLES)})
    assert again == clean
    assert again.to_markdown() == clean.to_markdown()
    assert again.to_html() == clean.to_html()
    assert dimension_chart(again) == dimension_chart(clean)


def test_the_report_is_readable_and_holds_no_values(tables):
    spoiled = tables[JOURNEYS].with_columns(first("gender", "<b>Jane|Doe</b>"))
    judged = report({**tables, JOURNEYS: spoiled})
    for text in (judged.to_markdown(), judged.to_html(), json.dumps(to_json(judged))):
        assert "gender" in text
        assert "Jane" not in text
    page = judged.to_html()
    assert page.startswith("<!doctype html>")
    assert "http" not in page
    assert dimension_chart(judged).startswith(b"\x89PNG")


def test_rows_of_the_given_frames_are_left_alone(tables):
    before = {name: frame.clone() for name, frame in tables.items()}
    report(tables)
    assert all(tables[name].equals(before[name]) for name in tables)


def test_a_day_later_than_the_record_by_the_clock_of_a_zone_is_none_too_late(tables):
    recorded = pl.col("source_timestamp").dt.date()
    edge = tables[EVENTS].with_columns(event_date=recorded + pl.duration(days=1))
    assert report({**tables, EVENTS: edge}).passed
    late = tables[EVENTS].with_columns(event_date=recorded + pl.duration(days=2))
    (blocker,) = [b for b in report({**tables, EVENTS: late}).blockers if b.reason == "schema"]
    assert "event_date: rule after_extract broken in 180 of 180 rows" in blocker.message


def test_columns_of_any_table_that_no_source_has_are_listed_and_not_graded(tables):
    empty = {name: pl.lit(None).cast(tables[EVENTS].schema[name]).alias(name) for name in ("cost", "hcp_id")}
    patchy = {**tables, EVENTS: tables[EVENTS].with_columns(**empty)}
    (graded,) = [t for t in report(patchy).tables if t.table == EVENTS]
    assert graded.scores["completeness"] < 0.9
    excused = report(patchy, not_collected={EVENTS: ["hcp_id", "cost"]})
    (graded,) = [t for t in excused.tables if t.table == EVENTS]
    assert graded.scores["completeness"] == 1
    for page in (excused.to_markdown(), excused.to_html()):
        assert "cost, hcp_id" in page


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
