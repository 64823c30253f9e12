"""Deliveries are replaced and removed, and what that touches is known before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from e2i_assets.ingest.load import Load
from e2i_assets.ingest.mapping import Mapping, MappingError
from e2i_assets.warehouse.removal import NoSuchSource
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.load_frames import PARTITIONS, changed, many, query, rows, small_tables


@pytest.fixture
def filled(warehouse: Warehouse) -> Warehouse:
    """Two sources; the second one's journeys are of an HCP that the first brought."""
    first = many(small_tables())
    first = changed(first, "patient_journeys", data_source=pl.lit("first"))
    first = changed(first, "hcp_profiles", data_source=pl.lit("first"))
    bad = (
        first["patient_journeys"]
        .tail(1)
        .with_columns(patient_journey_id=pl.lit("bad"), age_at_diagnosis=pl.lit(200, pl.Int64))
    )
    first["patient_journeys"] = pl.concat([first["patient_journeys"], bad])
    warehouse.load(Load(first, "first"), PARTITIONS)
    second = small_tables()["patient_journeys"].tail(1).with_columns(data_source=pl.lit("second"))
    warehouse.load(
        Load({"patient_journeys": second.with_columns(patient_journey_id=pl.lit("s1"))}, "second"), PARTITIONS
    )
    return warehouse


def test_what_goes_with_a_source_is_shown_and_nothing_is_removed(filled: Warehouse) -> None:
    before = rows(filled)
    removal = filled.remove("first", dry_run=True)
    assert removal.rows == {"hcp_profiles": 1, "patient_journeys": 100, "treatment_events": 200}
    assert removal.kept == {"hcp_profiles": 1}
    assert (removal.rejected, removal.partitions, removal.load_id) == (1, ("Brand/a",), None)
    assert rows(filled) == before
    assert query(filled, "SELECT count(*) FROM e2i.ml_load_batches") == [(2,)]


def test_a_source_is_removed_with_what_hangs_on_it_and_its_partitions_are_due(filled: Warehouse) -> None:
    mark = {name: filled.watermark("Brand", name) for name in "ab"}
    removal = filled.remove("first", dry_run=False)
    assert rows(filled) | {"hcp_profiles": 1, "patient_journeys": 1, "treatment_events": 0} == rows(filled)
    assert query(filled, "SELECT data_source FROM e2i.patient_journeys") == [("second",)]
    assert query(filled, "SELECT count(*) FROM e2i.ml_rejected_rows") == [(0,)]
    assert filled.watermark("Brand", "a") == removal.load_id
    assert filled.watermark("Brand", "b") == mark["b"]
    with pytest.raises(NoSuchSource, match="no rows of source 'frist'; there are first, second"):
        filled.remove("frist", dry_run=False)


TEXT = """
source: clinic
tables:
  patient_journeys:
    columns:
      patient_journey_id: "'clinic_' || id"
      patient_id: id
      brand: "'Remibrutinib'"
      indication: "'csu'"
      source_timestamp: TIMESTAMPTZ '2024-01-01 00:00:00+00'
"""


def test_by_command_a_whole_delivery_replaces_the_one_before(
    command: Callable[..., tuple[int, str]], warehouse: Warehouse, tmp_path: Path
) -> None:
    (tmp_path / "m.yaml").write_text(TEXT)
    file = tmp_path / "people.csv"
    for ids, options, height in (
        (range(30), (), 30),
        (range(10, 35), (), 35),
        (range(10, 35), ("--replace", "--dry-run"), 35),
        (range(10, 35), ("--replace",), 25),
    ):
        file.write_text("\n".join(["id", *map(str, ids)]) + "\n")
        code, output = command("import", file, "--mapping", tmp_path / "m.yaml", *options, "--json")
        assert code == 0, output
        assert warehouse.extract("patient_journeys", "Remibrutinib", "csu").height == height
    assert json.loads(output)["load"]["partitions"] == ["Remibrutinib/csu"]
    code, output = command("import", file, "--replace")
    assert code != 0
    assert "--replace needs a --mapping" in output
    code, output = command("delete", "--source", "clinic")
    assert code == 0
    assert "nothing was removed; --yes removes it" in output
    assert warehouse.extract("patient_journeys", "Remibrutinib", "csu").height == 25
    code, output = command("delete", "--source", "clinic", "--yes", "--json")
    assert code == 0
    assert json.loads(output)["removal"]["rows"] == {"patient_journeys": 25}
    assert warehouse.extract("patient_journeys", "Remibrutinib", "csu").is_empty()


@pytest.mark.parametrize(
    ("data_source", "owner"),
    [("", "clinic"), ("\"'other'\"", "other"), ("id", None), ("\"'a' || id\"", None)],
)
def test_whose_rows_are_replaced_is_stated(tmp_path: Path, data_source: str, owner: str | None) -> None:
    text = TEXT + (f"      data_source: {data_source}\n" if data_source else "")
    mapping = Mapping.from_text(text, tmp_path / "m.yaml")
    if owner is None:
        with pytest.raises(MappingError, match=r"m\.yaml:\d+: .*data_source: must be one constant"):
            mapping.owner()
    else:
        assert mapping.owner() == owner
