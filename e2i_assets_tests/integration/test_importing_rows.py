"""Sources with bad rows, from the file to the warehouse: the bad rows are kept apart, the good ones arrive."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Mapping
from e2i_assets.ingest.sources import read_source
from e2i_assets.resources.warehouse import Warehouse

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PROGRAMMES = {("Brand", "a")}
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
    report = warehouse.load(load, PROGRAMMES)
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
        warehouse.load(load, PROGRAMMES)
    assert warehouse.extract("patient_journeys", "Brand", "a").is_empty()
    (tmp_path / "data" / "b.csv").write_bytes(content)
    report = warehouse.load(read_source(tmp_path, mapping, now=NOW), PROGRAMMES)
    assert report.rows == report.changed == {"patient_journeys": 60_010}
