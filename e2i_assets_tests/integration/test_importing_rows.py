"""Sources with bad rows, from the file to the warehouse: the bad rows are kept apart, the good ones arrive."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source
from e2i_assets.warehouse.warehouse import Warehouse

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PARTITIONS = {("Brand", "a")}
TEXT = """
source: hospital
tables:
  patient_journeys:
    file: data
    columns:
      patient_journey_id: "'j' || id"
      patient_id: id
      brand: "'Brand'"
      indication: "'a'"
      age_at_diagnosis: age
      diagnosis_code: code
      first_observation_date: DATE '2024-01-01'
      last_observation_date: DATE '2024-12-31'
      source_timestamp: TIMESTAMPTZ '2024-01-01 00:00:00+00'
"""
BAD = {
    "nul": "1001,40,L50\0,x",
    "wrong_type": "1002,99999999999999999999,L50,x",
    "high": "1003,200,L50,x",
    "too_long": "1004" + "0" * 3000 + ",40,L50,x",
    "wrong_type of what is carried": "1005,40,L50,a\0b",
}


def write(folder: Path, name: str, lines: list[str]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / name).write_text("\n".join(["id,age,code,note", *lines]) + "\n")


def good(first: int, n: int) -> list[str]:
    return [f"{i},40,L50,ok" for i in range(first, first + n)]


def test_bad_rows_are_kept_apart_with_their_rule(warehouse: Warehouse, tmp_path: Path) -> None:
    write(tmp_path, "a.csv", [*good(0, 200), *BAD.values()])
    write(tmp_path, "b.csv", good(300, 10))
    load = read_source(tmp_path, Mapping.from_text(TEXT, tmp_path), now=NOW)
    report = warehouse.load(load, PARTITIONS)
    assert (report.rows, report.rejected) == ({"patient_journeys": 215}, {"patient_journeys": len(BAD)})
    assert warehouse.extract("patient_journeys", "Brand", "a").height == 210
    with warehouse.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM e2i.ml_rejected_rows")).mappings().all()
    assert sorted(row["rule"] for row in rows) == sorted(rule.split()[0] for rule in BAD)
    refused = next(
        row for row in rows if row["column_name"] == "age_at_diagnosis" and row["rule"] == "wrong_type"
    )
    assert "99999999999999999999" in json.dumps(dict(refused), default=str)


def test_a_source_that_disappears_midway_loads_nothing_and_can_be_loaded_again(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    write(tmp_path, "a.csv", good(0, 60_000))
    write(tmp_path, "b.csv", good(60_000, 10))
    mapping = Mapping.from_text(TEXT, tmp_path)
    load = read_source(tmp_path, mapping, now=NOW)
    content = (tmp_path / "data" / "b.csv").read_bytes()
    (tmp_path / "data" / "b.csv").unlink()
    with pytest.raises(SourceError, match=r"b\.csv: cannot be read: is not there"):
        warehouse.load(load, PARTITIONS)
    assert warehouse.extract("patient_journeys", "Brand", "a").is_empty()
    (tmp_path / "data" / "b.csv").write_bytes(content)
    report = warehouse.load(read_source(tmp_path, mapping, now=NOW), PARTITIONS)
    assert report.rows == report.changed == {"patient_journeys": 60_010}


CELLS = {
    "age": ["secret", "31415926535897932384", "3141.5", "1e400", "314'159", "0x31415"],
    "severity": ["3,1415", "secret", "NaN", "-Infinity", "1e-400", "3.1.4", "3 141"],
    "dx": ["31/04/1592", "2024-02-30", "3141-5-9", "20240101", "2024-05-05T03:14:15"],
    "recorded": [
        "2024-03-31 02:30:00",
        "2024-10-27 02:30:00",
        "2024-01-01T03:14:60Z",
        "2024-01-01 03:14 CET",
    ],
    "academic": ["secret", "yes", "2", "on"],
    "sex": ["secret", "3141", "f"],
    "code": ["secret\0", "\0"],
    "note": ["secret\0"],
}
COLUMNS = {
    "age": "age_at_diagnosis", "severity": "disease_severity", "dx": "diagnosis_date",
    "recorded": "source_timestamp", "academic": "academic_hcp", "sex": "gender", "code": "diagnosis_code",
    "note": "note",
}  # fmt: skip
BY_COMMAND = """
source: hospital
read: {time_zone: Europe/Berlin}
tables:
  patient_journeys:
    columns:
      patient_journey_id: "'j' || id"
      patient_id: id
      brand: "'Remibrutinib'"
      indication: "'csu'"
      age_at_diagnosis: age
      disease_severity: severity
      diagnosis_date: dx
      source_timestamp: recorded
      academic_hcp: academic
      gender: {from: sex, values: {w: F, m: M}}
      diagnosis_code: code
      first_observation_date: DATE '2024-01-01'
      last_observation_date: DATE '2024-12-31'
"""


def test_each_bad_cell_is_a_rejected_row_and_none_is_ever_shown(
    command: Callable[..., tuple[int, str]], warehouse: Warehouse, tmp_path: Path
) -> None:
    fine = {"age": "40", "severity": "3.5", "dx": "2024-02-03", "recorded": "2024-02-03 10:00:00",
            "academic": "true", "sex": "w", "code": "L50.1", "note": "x"}  # fmt: skip
    bad = [(column, cell) for column, cells in CELLS.items() for cell in cells]
    wrong = [{"id": f"bad{i}", **fine, column: cell} for i, (column, cell) in enumerate(bad)]
    right = [{"id": f"good{i}", **fine} for i in range(20 * len(bad))]
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(BY_COMMAND)
    pl.DataFrame([*wrong, *right]).write_csv(tmp_path / "people.csv", quote_style="always")
    code, output = command("import", tmp_path / "people.csv", "--mapping", mapping, "--json")
    assert code == 0, output
    assert json.loads(output)["load"]["rejected"] == {"patient_journeys": len(bad)}
    with warehouse.engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT row_number, column_name, origin FROM e2i.ml_rejected_rows ORDER BY row_number")
        ).all()
    origin = str(tmp_path / "people.csv")
    assert [tuple(row) for row in rows] == [(i + 1, COLUMNS[c], origin) for i, (c, _) in enumerate(bad)]
    stored = warehouse.extract("patient_journeys", "Remibrutinib", "csu")
    assert stored.select("age_at_diagnosis", "disease_severity").unique().rows() == [(40, 3.5)]
    assert stored.height == len(right)
    # The bad rows alone: nothing is loaded.
    pl.DataFrame(wrong).write_csv(tmp_path / "people.csv", quote_style="always")
    code, failed = command("import", tmp_path / "people.csv", "--mapping", mapping)
    assert code == 1
    for column in COLUMNS.values():
        assert f"people.csv: table patient_journeys, column {column}: " in failed
    for shown in (output, failed):
        assert not [cell for _, cell in bad if len(cell) > 4 and cell.strip("\0") in shown]
