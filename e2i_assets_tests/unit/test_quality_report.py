import json
import re
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from e2i_assets.config_files import parse_yaml
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.contracts.undeclared import how_to_declare
from e2i_assets.contracts.variables import Attribute
from e2i_assets.json_files import from_json, to_json
from e2i_assets.quality import QCReport, build_qc_report, dimension_chart
from e2i_assets_tests.unit.quality_frames import ATTRIBUTES, clean_tables, declared
from e2i_assets_tests.unit.quality_reports import (
    CONFIG,
    EVENTS,
    JOURNEYS,
    VERSIONS,
    WITH_SUITES,
    first,
    report,
)


@pytest.fixture(scope="module")
def tables():
    return clean_tables(60)


@pytest.fixture(scope="module")
def clean(tables):
    return report(tables, WITH_SUITES)


def test_clean_tables_pass(clean):
    assert (clean.status, clean.blockers, clean.warnings) == ("passed", (), ())
    assert clean.passed
    assert clean.score > 0.99
    assert clean.raw_versions == VERSIONS
    assert clean.table_rows["treatment_events"] == 180


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
    again = report({name: tables[name] for name in reversed(RAW_TABLES)}, WITH_SUITES)
    assert again == clean
    assert again.to_markdown() == clean.to_markdown()
    assert again.to_html() == clean.to_html()
    assert dimension_chart(again) == dimension_chart(clean)


def test_the_report_is_readable_and_holds_no_values(tables):
    spoiled = tables[JOURNEYS].with_columns(first("gender", "<b>Jane|Doe</b>"))
    judged = report({**tables, JOURNEYS: spoiled}, WITH_SUITES)
    for text in (judged.to_markdown(), judged.to_html(), json.dumps(to_json(judged))):
        assert "gender" in text
        assert "Jane" not in text
    page = judged.to_html()
    assert page.startswith("<!doctype html>")
    assert "http" not in page
    assert dimension_chart(judged).startswith(b"\x89PNG")


def test_rows_of_the_given_frames_are_left_alone(tables):
    before = {name: frame.clone() for name, frame in tables.items()}
    report(tables, WITH_SUITES)
    assert all(tables[name].equals(before[name]) for name in tables)
