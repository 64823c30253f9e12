"""Loading: everything or nothing, each mistake named, nothing of a patient in the message."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.cli.generate import generate_and_load, oracle
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.loader import Load
from e2i_assets.ingest.problems import LoadError
from e2i_assets.ingest.sources import read_source
from e2i_assets.ingest.synthetic import GeneratorSpec
from e2i_assets.resources.postgres import WarehouseUnavailable
from e2i_assets.resources.records import load_batches
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PROGRAMMES = {("Brand", "a"), ("Brand", "b")}
Tables = dict[str, pl.DataFrame]


def frame(table: str, **values: list[object]) -> pl.DataFrame:
    rows = len(next(iter(values.values())))
    return pl.DataFrame(
        [pl.Series(c.name, values.get(c.name, [None] * rows), dtype=c.dtype) for c in columns(TABLES[table])]
    )


@pytest.fixture
def tables() -> Tables:
    day = dt.date(2024, 1, 1)
    journeys = frame(
        "patient_journeys",
        patient_journey_id=["j1", "j2", "j3"], patient_id=["secret1", "secret2", "secret3"],
        hcp_id=["h1", "h1", "h2"], brand=["Brand"] * 3, indication=["a", "a", "b"], diagnosis_date=[day] * 3,
        first_observation_date=[day] * 3, last_observation_date=[day] * 3, age_at_diagnosis=[40, 50, None],
        clinical_attributes=['{"x": 1}', None, None], data_source=["test"] * 3,
        source_timestamp=[NOW] * 3, ingestion_timestamp=[NOW] * 3,
    )  # fmt: skip
    events = frame(
        "treatment_events",
        treatment_event_id=["e1", "e2"], patient_journey_id=["j1", "j3"], patient_id=["secret1", "secret3"],
        event_date=[day] * 2, event_type=["lab_test", "prescription"],
        source_timestamp=[NOW] * 2, ingestion_timestamp=[NOW] * 2,
    )  # fmt: skip
    return {
        "hcp_profiles": frame("hcp_profiles", hcp_id=["h1", "h2"]),
        "patient_journeys": journeys,
        "treatment_events": events,
    }


def changed(tables: Tables, table: str, **values: pl.Expr) -> Tables:
    return {**tables, table: tables[table].with_columns(**values)}


def rows(warehouse: Warehouse) -> dict[str, int]:
    return {held.table: held.rows for held in warehouse.status()}


def test_a_load_is_read_back_as_it_was(warehouse: Warehouse, tables: Tables) -> None:
    report = warehouse.load(Load(tables, "test"), PROGRAMMES)
    assert report.programmes == ("Brand/a", "Brand/b")
    read = warehouse.extract("patient_journeys", "Brand", "a")
    assert read.equals(tables["patient_journeys"].filter(pl.col("indication") == "a"))
    assert warehouse.extract("hcp_profiles", "Brand", "b")["hcp_id"].to_list() == ["h2"]
    assert warehouse.extract("treatment_events", "Brand", "b")["treatment_event_id"].to_list() == ["e2"]


def test_the_same_load_again_changes_nothing_and_touches_no_partition(
    warehouse: Warehouse, tables: Tables
) -> None:
    first = warehouse.load(Load(tables, "test"), PROGRAMMES)
    later = {
        **tables,
        "patient_journeys": tables["patient_journeys"].with_columns(
            ingestion_timestamp=NOW + dt.timedelta(1)
        ),
    }
    again = warehouse.load(Load(later, "test"), PROGRAMMES)
    assert again.load_id is None
    assert again.programmes == ()
    assert warehouse.watermark("Brand", "a") == first.load_id


def test_a_change_touches_only_its_own_partition(warehouse: Warehouse, tables: Tables) -> None:
    first = warehouse.load(Load(tables, "test"), PROGRAMMES)
    update = changed(tables, "treatment_events", cost=pl.Series([None, 10.0]))
    second = warehouse.load(Load(update, "test"), PROGRAMMES)
    assert second.changed == {"hcp_profiles": 0, "patient_journeys": 0, "treatment_events": 1}
    assert second.programmes == ("Brand/b",)
    assert warehouse.watermark("Brand", "a") == first.load_id
    assert warehouse.watermark("Brand", "b") == second.load_id


def test_replacing_removes_what_the_source_no_longer_has(warehouse: Warehouse, tables: Tables) -> None:
    warehouse.load(Load(tables, "test"), PROGRAMMES)
    fewer = {
        "patient_journeys": tables["patient_journeys"].head(2),
        "treatment_events": tables["treatment_events"].head(1),
    }
    report = warehouse.load(Load(fewer, "test", replaces="test"), PROGRAMMES)
    assert rows(warehouse)["patient_journeys"] == 2
    assert rows(warehouse)["treatment_events"] == 1
    assert report.programmes == ("Brand/b",)


def test_a_dry_run_does_everything_but_commit(warehouse: Warehouse, tables: Tables) -> None:
    report = warehouse.load(Load(tables, "test"), PROGRAMMES, dry_run=True)
    assert report.changed["patient_journeys"] == 3
    assert set(rows(warehouse).values()) == {0}


BROKEN: dict[str, tuple[Callable[[Tables], Tables], str]] = {
    "wrong type": (lambda t: changed(t, "patient_journeys", age_at_diagnosis=pl.lit("old")), "age_at_diagnosis: must be Int64"),
    "missing column": (lambda t: {**t, "hcp_profiles": t["hcp_profiles"].drop("npi")}, "hcp_profiles, column npi: is missing"),
    "unknown column": (lambda t: changed(t, "hcp_profiles", shoe_size=pl.lit(1)), "shoe_size: is not in the contract"),
    "unknown brand": (lambda t: changed(t, "patient_journeys", brand=pl.lit("Nonesuch")), "column brand: is no brand"),
    "duplicated key": (lambda t: changed(t, "patient_journeys", patient_journey_id=pl.lit("j1")), "must be unique, is that of an earlier row (2 rows: 2, 3)"),
    "dangling key": (lambda t: changed(t, "treatment_events", patient_journey_id=pl.lit("j9")), "points to no row of patient_journeys"),
    "null": (lambda t: changed(t, "treatment_events", event_date=pl.lit(None, pl.Date)), "event_date: must not be empty"),
    "enum": (lambda t: changed(t, "treatment_events", event_type=pl.lit("party")), "event_type: must be one of"),
    "range": (lambda t: changed(t, "patient_journeys", age_at_diagnosis=pl.lit(200, pl.Int64)), "must be at most 120"),
    "not finite": (lambda t: changed(t, "treatment_events", cost=pl.lit(float("nan"))), "cost: must be a finite number"),
    "row rule": (lambda t: changed(t, "patient_journeys", last_observation_date=pl.lit(dt.date(2000, 1, 1))), "first_observation_date <= last"),
    "empty": (lambda t: {**t, "hcp_profiles": t["hcp_profiles"].clear()}, "hcp_profiles: is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named_and_nothing_is_loaded(
    warehouse: Warehouse, tables: Tables, name: str
) -> None:
    spoil, said = BROKEN[name]
    with pytest.raises(LoadError) as error:
        warehouse.load(Load(spoil(tables), "input.csv"), PROGRAMMES)
    assert said in str(error.value)
    assert "input.csv" in str(error.value)
    assert "secret" not in str(error.value)
    assert set(rows(warehouse).values()) == {0}


def test_every_problem_is_told_at_once(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = changed(tables, "patient_journeys", age_at_diagnosis=pl.lit(200, pl.Int64), gender=pl.lit("X"))
    with pytest.raises(LoadError) as error:
        warehouse.load(Load(spoilt, "input.csv"), PROGRAMMES)
    assert len(error.value.problems) == 2


def test_the_database_itself_refuses_what_validation_missed(warehouse: Warehouse, tables: Tables) -> None:
    """CHECKs and keys come from the contracts, so the warehouse holds them against any writer."""
    warehouse.load(Load(tables, "test"), PROGRAMMES)
    for statement in (
        "UPDATE e2i.patient_journeys SET age_at_diagnosis = 200",
        "UPDATE e2i.treatment_events SET event_type = 'party'",
        "UPDATE e2i.treatment_events SET patient_journey_id = 'nobody'",
        "UPDATE e2i.patient_journeys SET last_observation_date = '2000-01-01'",
    ):
        with pytest.raises(sa.exc.IntegrityError), warehouse.engine.begin() as connection:
            connection.execute(sa.text(statement))


def test_a_database_that_is_down_is_named_without_its_password() -> None:
    url = "postgresql://someone:topsecret@127.0.0.1:1/none"
    with pytest.raises(WarehouseUnavailable) as error:
        Warehouse(Settings(database_url=url)).status()
    assert "127.0.0.1:1" in str(error.value)
    assert "E2I_DATABASE_URL" in str(error.value)
    assert "topsecret" not in str(error.value)


def write(folder: Path, tables: Tables, suffix: str = "parquet") -> Path:
    for table, data in tables.items():
        path = folder / f"{table}.{suffix}"
        data.write_parquet(path) if suffix == "parquet" else data.write_csv(path)
    return folder


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_folder_of_files_named_for_our_tables_loads(
    warehouse: Warehouse, tables: Tables, tmp_path: Path, suffix: str
) -> None:
    load = read_source(write(tmp_path, tables, suffix), None, now=NOW)
    assert warehouse.load(load, PROGRAMMES).rows == {t: f.height for t, f in tables.items()}
    assert warehouse.extract("patient_journeys", "Brand", "a").equals(
        tables["patient_journeys"].filter(pl.col("indication") == "a")
    )


SPEC = GeneratorSpec(scale="small", seed=1)


def test_a_store_that_refuses_leaves_the_warehouse_as_it_was(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator's own truth is kept in the store; data without it would be half a job."""

    def refuse(*_: object) -> str:
        raise ArtifactRefused("no room")

    monkeypatch.setattr(ArtifactStore, "write", refuse)
    with pytest.raises(ArtifactRefused):
        generate_and_load(here, warehouse, SPEC, show=False)
    assert set(rows(warehouse).values()) == {0}


def test_generated_data_load_with_their_truth(here: Settings, warehouse: Warehouse) -> None:
    made = generate_and_load(here, warehouse, SPEC, show=False)
    assert len(made.report.programmes) == 4
    known = oracle(here)
    assert known is not None
    assert known.height == rows(warehouse)["patient_journeys"] == made.truth["overall"]["n"] == 2500
    assert made.kept is not None
    assert json.loads((Path(made.kept.removeprefix("file://")) / "truth.json").read_text()) == made.truth
    with warehouse.engine.connect() as connection:
        assert connection.scalar(sa.select(load_batches.c.truth)) == made.truth
    assert generate_and_load(here, warehouse, SPEC, show=False).report.load_id is None
