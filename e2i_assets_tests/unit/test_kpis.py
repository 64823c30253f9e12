"""Indicators: what a file may say, what its SQL may read, and how a value, or none, stands."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.kpis.catalogue import Catalogue, Relation
from e2i_assets.kpis.errors import KpiFileError
from e2i_assets.kpis.file import KpiGroup, load_kpis
from e2i_assets.kpis.kpi import Kpi, Thresholds
from e2i_assets.kpis.page import kpi_page
from e2i_assets.kpis.report import Answer, KpiReport, KpiResult, build_report, to_ask
from e2i_assets.kpis.statement import read_statement
from e2i_assets_tests.conftest import CONFIG

COLUMNS = {"triggers": {"patient_id": "text", "priority": "text"}}
SQL = "SELECT count(DISTINCT patient_id) AS value, count(*) AS rows FROM triggers WHERE priority = 'high'"
TODAY = dt.date(2026, 1, 3)
THERE = {"triggers": Relation("table", COLUMNS["triggers"], has_rows=True)}


def kpi(**changed: Any) -> Kpi:
    stated = {
        "id": "K-1", "name": "Touched", "formula": "patients", "unit": "share", "frequency": "daily",
        "thresholds": {"target": 0.9, "warning": 0.7, "critical": 0.5}, "columns": COLUMNS, "sql": SQL,
    }  # fmt: skip
    return Kpi.model_validate(stated | changed)


def judged(one: Kpi, answer: Answer | None, catalogue: Catalogue = THERE, cells: Cells = EXACT) -> KpiResult:
    answers = {} if answer is None else {one.id: answer}
    report = build_report("p", TODAY, [KpiGroup(group="G", kpis=(one,))], catalogue, answers, cells)
    return report.results[0]


def test_the_shipped_files_have_the_46_indicators_of_the_guide() -> None:
    kpis = [one for group in load_kpis(CONFIG) for one in group.kpis]
    assert len(kpis) == 46
    assert Counter(re.sub(r"-\d+$", "", one.id) for one in kpis) == {
        "WS1-DQ": 9, "WS1-MP": 9, "WS2-TR": 8, "WS3-BI": 10, "BR": 5, "CM": 5,
    }  # fmt: skip
    assert all(len(one.name) <= 30 for one in kpis)  # a row of the table fits 80 columns


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DROP TABLE triggers", "must be one SELECT"),
        (f"{SQL}; DELETE FROM triggers", "must be one SELECT"),
        ("COPY triggers TO PROGRAM 'id'", "must be one SELECT"),
        ("SELECT FROM WHERE", "cannot be read"),
        (SQL.replace(" FROM", " INTO copied FROM"), "INTO copied is not what"),
        (f"{SQL} FOR UPDATE", "FOR UPDATE is not what"),
        ("WITH gone AS (DELETE FROM triggers RETURNING patient_id) SELECT count(*) AS value, 1 AS rows FROM gone", "DELETE"),
        (SQL.replace("count(DISTINCT patient_id)", "pg_sleep(9)"), "PG_SLEEP(9) calls what no"),
        (SQL.replace("count(DISTINCT patient_id)", "pg_read_file('/etc/passwd')"), "calls what no"),
        (SQL.replace("count(DISTINCT patient_id)", "set_config('a', 'b', true)"), "calls what no"),
        (SQL.replace("count(DISTINCT patient_id)", "nextval('s')"), "calls what no"),
        ("SELECT 1 AS value, 1 AS rows FROM generate_series(1, 9)", "is no table or view"),
        ("SELECT 1 AS value, 1 AS rows FROM pg_catalog.pg_authid", "is no table or view"),
        (SQL.replace("triggers", "pg_authid"), "reads pg_authid"),
        (SQL.replace("DISTINCT patient_id", "DISTINCT hcp_id"), "'hcp_id' could not be resolved"),
        (SQL.replace("priority = 'high'", "true"), "declares triggers.priority, which the sql does not read"),
        (SQL.replace("'high'", ":password"), "no such parameter: password"),
        ("SELECT patient_id, priority FROM triggers", "selects patient_id, priority instead of"),
        ("SELECT * FROM triggers", "is not what an indicator may say"),
    ],
)  # fmt: skip
def test_sql_that_does_more_than_read_its_columns_is_refused(sql: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        read_statement(sql, COLUMNS)


def test_what_is_run_is_written_from_what_was_checked() -> None:
    sql = SQL.replace("'high'", ":brand -- a comment").replace("count(*)", "count(*) % 7")
    statement = read_statement(sql, COLUMNS)
    assert statement.parameters == {"brand"}
    assert "comment" not in statement.sql
    assert "%(brand)s" in statement.sql
    assert "%% 7" in statement.sql  # the driver reads a lone percent sign as a parameter


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((0.9, 0.7, 0.5), {0.9: "on_target", 0.89: "below_target", 0.7: "below_target", 0.69: "warning", 0.5: "warning", 0.49: "critical"}),
        ((0.1, 0.2, 0.3), {0.1: "on_target", 0.11: "below_target", 0.2: "below_target", 0.21: "warning", 0.31: "critical"}),
    ],
)  # fmt: skip
def test_a_threshold_is_met_by_the_value_itself(
    limits: tuple[float, float, float], expected: dict[float, str]
) -> None:
    thresholds = Thresholds(**dict(zip(("target", "warning", "critical"), limits, strict=True)))
    assert {value: thresholds.status(value) for value in expected} == expected


@pytest.mark.parametrize("limits", [(0.9, 0.5, 0.7), (0.5, 0.5, 0.5), (0.5, 0.9, 0.7)])
def test_thresholds_in_no_order_are_refused(limits: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must rise or fall in this order"):
        Thresholds(**dict(zip(("target", "warning", "critical"), limits, strict=True)))


@pytest.mark.parametrize(
    ("catalogue", "missing"),
    [
        ({}, "table triggers"),
        ({"triggers": Relation("view", {"patient_id": "text"}, has_rows=True)}, "column triggers.priority"),
        (
            {"triggers": Relation("table", {"patient_id": "bigint", "priority": "text"}, has_rows=True)},
            "column triggers.patient_id as text (it is bigint)",
        ),
    ],
)
def test_what_asks_for_what_is_not_there_is_not_computable(catalogue: Catalogue, missing: str) -> None:
    one = kpi()
    assert to_ask([KpiGroup(group="G", kpis=(one,))], catalogue, "p") == []
    # an answer, were there one, counts for nothing
    result = judged(one, Answer(1.0, 10), catalogue)
    assert (result.standing, result.missing, result.value) == ("not_computable", (missing,), None)


@pytest.mark.parametrize(
    ("answer", "standing", "why"),
    [
        (Answer(None, 10), "no_data", "would divide by nothing"),
        (Answer(float("nan"), 10), "no_data", "would divide by nothing"),
        (Answer(0.0, 0), "no_data", "none of the rows"),
        (Answer(failure="took longer than 60 s"), "failed", "took longer"),
        (None, "failed", "was not asked"),
        (Answer(0.0, 10), "critical", ""),
        (Answer(1.0, 10), "on_target", ""),
    ],
)
def test_no_value_is_neither_nought_nor_a_pass(answer: Answer | None, standing: str, why: str) -> None:
    result = judged(kpi(), answer)
    assert result.standing == standing
    assert why in result.why
    assert (result.value is None) == (standing in ("no_data", "failed"))


def test_an_empty_table_is_no_data_whatever_is_computed() -> None:
    empty = {"triggers": Relation("table", COLUMNS["triggers"], has_rows=False)}
    result = judged(kpi(unit="count"), Answer(0.0, 3), empty)
    assert (result.standing, result.why) == ("no_data", "no rows in triggers")


@pytest.mark.parametrize(
    ("unit", "answer", "value", "rows"),
    [
        ("count", Answer(23.0, 101), 25.0, 100),
        ("count", Answer(3.0, 101), None, 100),
        ("share", Answer(0.5, 4), None, "<5"),
        ("share", Answer(0.02, 100), None, 100),
        ("share", Answer(0.98, 100), None, 100),
        ("share", Answer(0.5, 100), 0.5, 100),
        ("days", Answer(7.5, 100), 7.5, 100),
    ],
)
def test_small_cells_are_not_told(unit: str, answer: Answer, value: float | None, rows: Any) -> None:
    result = judged(kpi(unit=unit), answer, cells=Cells(5))
    assert (result.value, result.rows) == (value, rows)
    assert (result.standing == "no_data") == (value is None)


def test_a_report_is_fine_only_with_every_value_and_none_critical() -> None:
    def report(*answers: Answer) -> KpiReport:
        kpis = tuple(kpi(id=f"K-{i}") for i in range(len(answers)))
        told = {one.id: answer for one, answer in zip(kpis, answers, strict=True)}
        return build_report("p", TODAY, [KpiGroup(group="G", kpis=kpis)], THERE, told)

    assert report(Answer(1.0, 9), Answer(0.6, 9)).ok
    for answer in (Answer(0.1, 9), Answer(None, 9), Answer(failure="f")):
        assert not report(Answer(1.0, 9), answer).ok
    mixed = report(Answer(1.0, 9), Answer(0.1, 9), Answer(None, 9))
    assert mixed.summary == "3 indicators of p: 1 critical, 1 on target, 1 no data"
    assert mixed.document()["counts"] == {"critical": 1, "on_target": 1, "no_data": 1}


def test_an_indicator_of_one_partition_is_not_asked_of_others() -> None:
    one = kpi(partitions=["fabhalta_pnh"])
    groups = [KpiGroup(group="G", kpis=(one,))]
    assert build_report("remibrutinib_csu", TODAY, groups, THERE, {}).results == ()
    assert to_ask(groups, THERE, "fabhalta_pnh") == [one]


def test_names_are_shown_as_text() -> None:
    one = kpi(name="<script>alert(1)</script> | x")
    report = build_report("p", TODAY, [KpiGroup(group="G", kpis=(one,))], THERE, {one.id: Answer(1.0, 9)})
    assert "<script>" not in kpi_page([report])
    assert "</script> \\| x | 100% | on target | 90% / 70% / 50% | 9 |" in report.to_markdown()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"lacks": "nothing"}, r"kpis\[0\]: lacks: goes with an indicator that has no sql"),
        ({"unit": "furlongs"}, r"a.yaml:\d+: kpis\[0\].unit: Input should be"),
        ({"thresholds": {"target": "1"}}, r"a.yaml:\d+: kpis\[0\].thresholds.target: Input should be a valid number"),
        ({"columns": {"triggers": {"patient_id": "varchar"}}}, r"a.yaml:\d+: kpis\[0\].columns.triggers.patient_id: "),
        ({"sql": f"{SQL} FOR UPDATE"}, r"a.yaml:\d+: kpis\[0\]: sql: FOR UPDATE is not what"),
        ({"colour": "red"}, r"a.yaml:\d+: kpis\[0\].colour: no such key"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_at_its_line(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    stated = kpi().model_dump(mode="json", exclude_none=True) | changed
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"group": "G", "kpis": [stated]}))
    with pytest.raises(KpiFileError, match=why):
        KpiGroup.from_yaml(tmp_path / "a.yaml")


def test_an_id_stands_once_and_some_file_there_must_be(tmp_path: Path) -> None:
    with pytest.raises(KpiFileError, match="no file of indicators"):
        load_kpis(tmp_path)
    (tmp_path / "kpis").mkdir()
    for name in ("a", "b"):
        (tmp_path / "kpis" / f"{name}.yaml").write_text((CONFIG / "kpis" / "6_causal.yaml").read_text())
    with pytest.raises(KpiFileError, match=r"more than one indicator has the id CM-001"):
        load_kpis(tmp_path)
