"""Which rows a mapping makes of a source's: generated keys, a filter, several rows of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import yaml

from e2i_assets.ingest.load import ROW
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets.ingest.sources import read_source
from e2i_assets_tests.unit.source_frames import BASE, NOW, attributes, given, mapped, read_in, refusals

ROWS = ["40,F,1.50", "41,M,1.5", "40,F,1.50", "42,F,", "40,F,1.50"]
UNSAID = {name: sql for name, sql in BASE.items() if name not in ("patient_journey_id", "patient_id")}


def keyed(folder: Path, key: str, **spec: Any) -> Mapping:
    table = {"key": key, "columns": {**UNSAID, "age_at_diagnosis": "age", **spec.pop("columns", {})}, **spec}
    text = yaml.safe_dump({"source": "A trial", "tables": {"patient_journeys": table}})
    return Mapping.from_text(text, folder / "mapping.yaml")


def keys(folder: Path, rows: list[str], key: str, name: str = "a.csv", **spec: Any) -> list[str]:
    path = given(folder, "\n".join(["age,sex,dose", *rows]) + "\n", name)
    frame = read_in(read_source(path, keyed(folder, key, **spec), now=NOW)).frame
    assert frame["patient_id"].to_list() == frame["patient_journey_id"].to_list()
    return frame["patient_id"].to_list()


def test_a_key_by_line_is_the_source_and_the_line(tmp_path: Path) -> None:
    assert keys(tmp_path, ROWS, "line") == [f"a_trial_{i}" for i in range(1, 6)]
    assert keys(tmp_path, ROWS, "line", name="next_delivery.csv") == [f"a_trial_{i}" for i in range(1, 6)]
    for name in ("x/a.csv", "y/a.csv"):
        given(tmp_path, "age,sex,dose\n1,F,2\n", f"data/{name}")
    frame = read_in(read_source(tmp_path, keyed(tmp_path, "line", file="data/*/*.csv"), now=NOW)).frame
    assert frame["patient_id"].to_list() == ["a_trial_data/x/a.csv:1", "a_trial_data/y/a.csv:1"]


@pytest.mark.parametrize("shuffled", [[2, 0, 4, 1, 3], [4, 3, 2, 1, 0]])
def test_a_key_by_content_stays_when_rows_move(tmp_path: Path, shuffled: list[int]) -> None:
    first = keys(tmp_path, ROWS, "content")
    assert len(set(first)) == len(ROWS)
    assert all(key.startswith("a_trial_") for key in first)
    # Equal rows are equally many, and one cell makes another row.
    assert sorted(keys(tmp_path, [ROWS[i] for i in shuffled], "content")) == sorted(first)
    assert set(keys(tmp_path, ROWS[1:], "content")) < set(first)
    assert first[0] not in keys(tmp_path, ["40,F,1.5"], "content")


def test_a_key_by_content_is_over_all_columns_in_any_order(tmp_path: Path) -> None:
    one = keys(tmp_path, ["40,F,1.50", "40,F,", "40,,1.50"], "content", leave_out=["sex", "dose"])
    path = given(tmp_path, "dose,age,sex\n1.50,40,F\n,40,F\n1.50,40,\n", "b.csv")
    frame = read_in(read_source(path, keyed(tmp_path, "content"), now=NOW)).frame
    assert frame["patient_id"].to_list() == one
    assert len(set(one)) == 3


def test_a_database_has_no_lines(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as clinic:
        clinic.sql("CREATE TABLE people AS SELECT 40 AS age UNION ALL SELECT 40")
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: .*key: .*say `key: content`"):
        read_source(tmp_path / "clinic.duckdb", keyed(tmp_path, "line", table="people"), now=NOW)
    load = read_source(tmp_path / "clinic.duckdb", keyed(tmp_path, "content", table="people"), now=NOW)
    assert read_in(load).frame["patient_id"].n_unique() == 2


def test_a_key_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"mapping\.yaml:\d+: .*key: patient_journey_id is said already"):
        keyed(tmp_path, "line", columns={"patient_journey_id": "age"})
    mapping = keyed(tmp_path, "line", columns={"patient_id": "sex"})
    frame = read_in(read_source(given(tmp_path, "age,sex\n1,a\n2,a\n"), mapping, now=NOW)).frame
    assert frame.select("patient_journey_id", "patient_id").rows() == [("a_trial_1", "a"), ("a_trial_2", "a")]


def test_rows_that_are_not_wanted_are_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    text = "id,visit,age\n1,1,40\n1,2,41\n2,,50\n3,1,x\n4,1,60\n"
    load = read_source(
        given(tmp_path, text), mapped(tmp_path, {"age_at_diagnosis": "age"}, where="visit = 1"), now=NOW
    )
    part = read_in(load)
    assert part.frame.select(ROW, "patient_id").rows() == [(1, "1"), (5, "4")]
    assert set(refusals(part)) == {4}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("age", "is of type BIGINT; it must be true or false"),
        ("row_number() OVER () = 1", "is over other rows"),
        ("agee = 1", "has no column agee; is it `age`"),
        ("age >", "is not SQL"),
    ],
)
def test_a_filter_that_cannot_be_asked_names_its_line(tmp_path: Path, where: str, message: str) -> None:
    with pytest.raises(
        MappingError, match=rf"mapping\.yaml:\d+: tables\.patient_journeys\.where: .*{message}"
    ):
        read_source(given(tmp_path, "id,age\n1,40\n"), mapped(tmp_path, {}, where=where), now=NOW)


EVENTS = """
source: A trial
tables:
  treatment_events:
    key: line
    repeat:
      - {result: cd4_0, day: 0}
      - {result: cd4_20, day: 140}
    where: result IS NOT NULL
    columns:
      patient_journey_id: "'j' || id"
      patient_id: id
      brand: "'Brand'"
      event_date: "DATE '2024-01-01' + day"
      event_type: "'lab_test'"
      event_subtype: "'cd4'"
      value: result
      source_timestamp: TIMESTAMPTZ '2024-12-01 00:00:00+00'
"""


def test_repeated_columns_become_rows(tmp_path: Path) -> None:
    path = given(tmp_path, "id,cd4_0,cd4_20,other\n1,300.50,,x\n2,x,250,y\n")
    load = read_source(path, Mapping.from_text(EVENTS, tmp_path / "m.yaml"), now=NOW)
    parts = list(load.parts("treatment_events"))
    frame = pl.concat([part.frame for part in parts])
    assert frame.select(
        ROW, "treatment_event_id", "patient_id", pl.col("event_date").cast(pl.String), "value"
    ).rows() == [
        (1, "a_trial_1", "1", "2024-01-01", 300.5),
        (2, "a_trial_2_2", "2", "2024-05-20", 250.0),
    ]
    refused = [part.refused for part in parts if part.refused is not None]
    assert pl.concat(refused).select("row_number", "key", "column_name").rows() == [(2, "a_trial_2", "value")]
    assert [note.rpartition(": ")[2] for note in load.notes] == ["other"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{result: cd4_20, day: 140}", "{result: cd4_20}", "entries of `repeat` must all say the same names"),
        ("day: 140", "day: 'cd4_0 ('", r"repeat\[1\]\.day: .*is not SQL"),
        ("result: cd4_20", "result: cd4_2", r"columns\.value: .*no column cd4_2; is it `cd4_20`"),
        ("result", "cd4_0", r"repeat\[0\]\.cd4_0: .*has a column cd4_0; choose another name"),
    ],
)
def test_a_mistake_in_a_repetition_names_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = given(tmp_path, "id,cd4_0,cd4_20\n1,300,200\n")
    with pytest.raises(MappingError, match=rf"m\.yaml:\d+: .*{message}"):
        read_source(path, Mapping.from_text(EVENTS.replace(old, new), tmp_path / "m.yaml"), now=NOW)


def test_what_an_expression_uses_up_is_told(tmp_path: Path) -> None:
    path = given(tmp_path, "id,age,height,weight\n1,40,170,60\n")
    mapping = mapped(
        tmp_path,
        {"age_at_diagnosis": "age"},
        attributes={"bmi": "weight / (height / 100) ** 2", "kg": "weight"},
    )
    load = read_source(path, mapping, now=NOW)
    (note,) = load.notes
    assert "not carried along, because expressions use them: height; name them under `attributes`" in note
    assert sorted(attributes(read_in(load))[0]) == ["bmi", "kg"]
