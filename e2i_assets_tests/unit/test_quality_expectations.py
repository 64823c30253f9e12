import asyncio
import socket
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

from e2i_assets.json_files import from_json, to_json
from e2i_assets.quality import DataQualityValidator, QualityConfigError
from e2i_assets.quality.config import Expectation, Suite, SuiteStatus
from e2i_assets.quality.expectations import _source, run_suites
from e2i_assets.quality.suite_result import SuiteResult
from e2i_assets_tests.unit.quality_frames import clean_tables, quality_config

BARS = SuiteStatus()


@pytest.fixture(scope="module")
def tables():
    return clean_tables(60)


def suite(*expectations, table="triggers"):
    return Suite(suite="s", table=table, description="d", expectations=expectations)


def rule(kind, values_from=None, **kwargs):
    return Expectation(type=kind, kwargs=kwargs, why="because", values_from=values_from)


NOT_NULL = rule("expect_column_values_to_not_be_null", column="trigger_id")
RANGE = rule("expect_column_values_to_be_between", column="confidence_score", min_value=0, max_value=1)
IMPOSSIBLE = rule("expect_column_values_to_be_between", column="confidence_score", min_value=2)


def run(tables, *expectations, table="triggers", **changed):
    changed_tables = {**tables, table: tables[table].with_columns(**changed)}
    (result,) = run_suites([suite(*expectations, table=table)], changed_tables, BARS)
    assert from_json(SuiteResult, to_json(result)) == result
    return result


def test_the_reviewed_suites_pass_clean_tables_without_network_or_progress(tables, monkeypatch, capfd):
    def refuse(*_):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    names = ("patient_journeys", "triggers", "predictions", "business_metrics", "causal_paths")
    config = quality_config(*names)
    results = run_suites(config.suites, tables, config.suite_status)
    assert {r.suite: r.status for r in results} == dict.fromkeys(names, "passed")
    judged = [len(s.expectations) for s in config.suites]
    assert [r.evaluated + len(r.not_evaluated) for r in results] == judged
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "table", "column", "value"),
    [
        ("patient_journeys", "patient_journeys", "hcp_id", "nobody"),
        ("patient_journeys", "patient_journeys", "gender", "X"),
        ("patient_journeys", "patient_journeys", "age_at_diagnosis", 130),
        ("triggers", "triggers", "priority", "whenever"),
        ("triggers", "triggers", "patient_id", "nobody"),
        ("predictions", "ml_predictions", "confidence_score", 1.5),
        ("business_metrics", "business_metrics", "brand", "Other"),
        ("business_metrics", "business_metrics", "value", -1.0),
        ("causal_paths", "causal_paths", "causal_effect_size", -1.5),
        ("predictions", "ml_predictions", "hcp_id", "nobody"),
        ("triggers", "triggers", "trigger_type", ""),
        ("triggers", "triggers", "acceptance_status", "perhaps"),
        ("patient_journeys", "patient_journeys", "journey_stage", "lost"),
        ("patient_journeys", "patient_journeys", "prior_treatment_count", 51),
    ],
)
def test_the_reviewed_suites_find_what_they_are_for(tables, name, table, column, value):
    broken = pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    changed = {**tables, table: tables[table].with_columns(broken)}
    (result,) = run_suites(quality_config(name).suites, changed, BARS)
    assert [(f.column, f.unexpected_count) for f in result.failed] == [(column, 2)]
    assert not str(value) or str(value) not in str(to_json(result))


@pytest.mark.parametrize(
    ("name", "table", "column", "value"),
    [
        ("patient_journeys", "patient_journeys", "age_at_diagnosis", 40),
        ("patient_journeys", "patient_journeys", "disease_severity", 5.0),
        ("predictions", "ml_predictions", "prediction_value", 0.5),
        ("predictions", "ml_predictions", "confidence_score", 1.0),
        ("triggers", "triggers", "confidence_score", 0.0),
        ("business_metrics", "business_metrics", "achievement_rate", 9.0),
        ("causal_paths", "causal_paths", "causal_effect_size", 1.0),
    ],
)
def test_the_reviewed_suites_know_what_a_column_looks_like_as_a_whole(tables, name, table, column, value):
    """Every value is allowed, all of them together are not."""
    changed = {**tables, table: tables[table].with_columns(pl.lit(value).alias(column))}
    (result,) = run_suites(quality_config(name).suites, changed, BARS)
    assert [f.column for f in result.failed] == [column]
    assert "Traceback" not in result.page


def test_a_rule_may_be_about_some_rows_only(tables):
    figures = tables["business_metrics"]
    shares = figures.with_columns(
        metric_name=pl.lit("market_share"), metric_id="s" + pl.col("metric_id"), value=pl.lit(0.4)
    )
    changed = {**tables, "business_metrics": pl.concat([figures, shares])}
    (result,) = run_suites(quality_config("business_metrics").suites, changed, BARS)
    assert result.failed == ()
    percent = {**changed, "business_metrics": pl.concat([figures, shares.with_columns(value=pl.lit(40.0))])}
    (result,) = run_suites(quality_config("business_metrics").suites, percent, BARS)
    (failed,) = result.failed
    assert failed.column == "value where metric_name IN ('market_share', 'conversion_rate')"
    assert failed.unexpected_count == shares.height
    (result,) = run_suites(quality_config("business_metrics").suites, tables, BARS)
    assert len([rule for rule in result.not_evaluated if "where metric_name" in rule]) == 2


def test_a_figure_of_a_column_without_values_judges_nothing(tables):
    mean = rule("expect_column_mean_to_be_between", column="confidence_score", min_value=0)
    result = run(tables, NOT_NULL, mean, confidence_score=pl.lit(None, dtype=pl.Float64))
    assert (result.evaluated, len(result.not_evaluated)) == (1, 1)


def test_the_data_docs_say_what_was_found_without_values_clock_or_network(tables):
    broken = tables["patient_journeys"].with_columns(
        gender=pl.lit("Jane Doe"), engagement_score=pl.lit(None, pl.Float64)
    )
    changed = {**tables, "patient_journeys": broken}
    (page,) = [r.page for r in run_suites(quality_config("patient_journeys").suites, changed, BARS)]
    assert "60 unexpected values found" in page
    assert "No value to judge" in page
    assert [w for w in ("Jane", "http:", "https:", "<script") if w in page] == []
    (again,) = [r.page for r in run_suites(quality_config("patient_journeys").suites, changed, BARS)]
    assert again == page


def test_a_date_before_another_is_found(tables):
    swapped = pl.col("first_observation_date")
    changed = {
        **tables,
        "patient_journeys": tables["patient_journeys"].with_columns(last_observation_date=swapped),
    }
    (result,) = run_suites(quality_config("patient_journeys").suites, changed, BARS)
    assert [(f.column, f.unexpected_count) for f in result.failed] == [
        ("last_observation_date, diagnosis_date", 60)
    ]


@pytest.mark.parametrize(
    ("good", "bad", "status"), [(19, 1, "passed"), (4, 1, "warning"), (3, 1, "failed"), (0, 1, "failed")]
)
def test_the_status_follows_the_share_of_rules_that_hold(tables, good, bad, status):
    rules = [
        rule("expect_column_values_to_be_between", column="confidence_score", min_value=-i)
        for i in range(good)
    ]
    result = run(tables, *rules, *[IMPOSSIBLE][:bad])
    assert (result.status, result.evaluated, result.successful) == (status, good + bad, good)
    assert result.success_rate == good / (good + bad)


def test_a_rule_over_nulls_judges_nothing(tables):
    nothing = {"confidence_score": pl.lit(None, dtype=pl.Float64)}
    both = run(tables, NOT_NULL, RANGE, **nothing)
    assert (both.evaluated, both.status, len(both.not_evaluated)) == (1, "passed", 1)
    alone = run(tables, RANGE, **nothing)
    assert (alone.evaluated, alone.status) == (0, "failed")


def test_not_null_of_a_column_of_nulls_is_judged_and_fails(tables):
    result = run(tables, NOT_NULL, trigger_id=pl.lit(None, dtype=pl.String))
    assert (result.evaluated, result.successful) == (1, 0)


def test_a_table_without_rows_proves_nothing(tables):
    (result,) = run_suites([suite(NOT_NULL)], {**tables, "triggers": tables["triggers"].clear()}, BARS)
    assert (result.status, result.evaluated) == ("empty", 0)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([NOT_NULL, rule("expect_no_such_thing", column="trigger_id")], "NotFoundError"),
        (
            [NOT_NULL, rule("expect_column_values_to_match_regex", column="trigger_id", regex="(")],
            "evaluated",
        ),
        ([NOT_NULL, rule("expect_column_values_to_be_between", column="trigger_id", nonsense=1)], "Error"),
    ],
)
def test_a_rule_that_cannot_be_run_is_an_error(tables, rules, message):
    result = run(tables, *rules)
    assert result.status == "error"
    assert message in result.error


def test_a_missing_column_or_table_is_an_error(tables):
    (result,) = run_suites([suite(RANGE)], {"triggers": tables["triggers"].drop("confidence_score")}, BARS)
    assert (result.status, result.error) == ("error", "missing columns: confidence_score")
    (result,) = run_suites([suite(RANGE)], {}, BARS)
    assert (result.status, result.error) == ("error", "missing tables: triggers")
    reference = rule("expect_column_values_to_be_in_set", "hcp_profiles.hcp_id", column="hcp_id")
    (result,) = run_suites([suite(reference)], {"triggers": tables["triggers"]}, BARS)
    assert (result.status, result.error) == ("error", "missing tables: hcp_profiles")


def test_a_missing_library_is_raised(tables, monkeypatch):
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    with pytest.raises(ImportError, match="great_expectations"):
        run_suites([suite(NOT_NULL)], tables, BARS)


def test_validator_sync_and_async_agree(tables):
    validator = DataQualityValidator(tables)
    result = validator.validate_table_sync("causal_paths", "causal_paths")
    assert (result.status, result.success_rate) == ("passed", 100.0)
    again = asyncio.run(validator.validate_table(table_name="causal_paths", expectation_suite="causal_paths"))
    assert again == result
    assert to_json(again)["expectations"]["evaluated"] == 11


def test_validator_reads_only_what_it_needs(tables):
    read = []

    def reader(name):
        read.append(name)
        return tables[name]

    assert DataQualityValidator(reader).validate_table_sync("causal_paths", "causal_paths").status == "passed"
    assert set(read) == {"causal_paths", "patient_journeys"}


def test_validator_fails_a_broken_contract_whatever_the_suite_says(tables):
    broken = {**tables, "causal_paths": tables["causal_paths"].with_columns(zz=pl.lit(1))}
    result = DataQualityValidator(broken).validate_table_sync("causal_paths", "causal_paths")
    assert (result.status, result.expectations.status) == ("failed", "passed")


@pytest.mark.parametrize(("table", "name"), [("triggers", "causal_paths"), ("triggers", "no_such")])
def test_validator_refuses_a_suite_of_another_table(tables, table, name):
    with pytest.raises(QualityConfigError, match="causal_paths"):
        DataQualityValidator(tables).validate_table_sync(table, name)


def test_a_temporary_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / 'it\'s "a" $x'
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert _source().name == "extracts"
    assert list(folder.iterdir()) == []
