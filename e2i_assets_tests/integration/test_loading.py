"""Loading: what comes in is there once, what is refused leaves no trace, nothing of a patient in a message."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest
import sqlalchemy as sa

from e2i_assets.cli.generate import declared, generate_and_load
from e2i_assets.contracts.rejected import REJECTED_SCHEMA
from e2i_assets.ingest.load import Load, Part
from e2i_assets.ingest.problems import LoadError
from e2i_assets.ingest.sources import read_source
from e2i_assets.ingest.synthetic import GeneratorSpec
from e2i_assets.resources.store import ArtifactRefused
from e2i_assets.settings import Settings
from e2i_assets.warehouse import publish
from e2i_assets.warehouse.errors import WarehouseUnavailable
from e2i_assets.warehouse.records import load_batches
from e2i_assets.warehouse.transactions import DatabaseRefused
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.load_frames import (
    BROKEN,
    NOW,
    PARTITIONS,
    Tables,
    changed,
    many,
    query,
    rejected,
    rows,
    small_tables,
    where,
)


@pytest.fixture
def tables() -> Tables:
    return small_tables()


def test_a_load_is_read_back_as_it_was(warehouse: Warehouse, tables: Tables) -> None:
    report = warehouse.load(Load(tables, "test", {"hcp_profiles": "hcps.csv"}), PARTITIONS)
    assert report.partitions == ("Brand/a", "Brand/b")
    batch = query(warehouse, "SELECT loaded_by, files FROM e2i.ml_load_batches")
    assert [tuple(row) for row in batch] == [(psutil.Process().username(), {"hcp_profiles": "hcps.csv"})]
    read = warehouse.extract("patient_journeys", "Brand", "a")
    assert read.equals(tables["patient_journeys"].filter(pl.col("indication") == "a"))
    assert warehouse.extract("hcp_profiles", "Brand", "b")["hcp_id"].to_list() == ["h2"]
    assert warehouse.extract("treatment_events", "Brand", "b")["treatment_event_id"].to_list() == ["e2"]


def test_the_same_load_again_changes_nothing_and_touches_no_partition(
    warehouse: Warehouse, tables: Tables
) -> None:
    first = warehouse.load(Load(tables, "test"), PARTITIONS)
    later = {
        **tables,
        "patient_journeys": tables["patient_journeys"].with_columns(
            ingestion_timestamp=NOW + dt.timedelta(1)
        ),
    }
    again = warehouse.load(Load(later, "test"), PARTITIONS)
    assert again.load_id is None
    assert again.partitions == ()
    assert warehouse.watermark("Brand", "a") == first.load_id


def test_a_change_touches_only_its_own_partition(warehouse: Warehouse, tables: Tables) -> None:
    first = warehouse.load(Load(tables, "test"), PARTITIONS)
    update = changed(tables, "treatment_events", cost=pl.Series([None, 10.0]))
    second = warehouse.load(Load(update, "test"), PARTITIONS)
    assert second.changed == {"hcp_profiles": 0, "patient_journeys": 0, "treatment_events": 1}
    assert second.partitions == ("Brand/b",)
    assert warehouse.watermark("Brand", "a") == first.load_id
    assert warehouse.watermark("Brand", "b") == second.load_id


def test_replacing_removes_what_the_source_no_longer_has(warehouse: Warehouse, tables: Tables) -> None:
    warehouse.load(Load(tables, "test"), PARTITIONS)
    fewer = {
        "patient_journeys": tables["patient_journeys"].head(2),
        "treatment_events": tables["treatment_events"].head(1),
    }
    report = warehouse.load(Load(fewer, "test", replaces="test"), PARTITIONS)
    assert rows(warehouse)["patient_journeys"] == 2
    assert rows(warehouse)["treatment_events"] == 1
    assert report.partitions == ("Brand/b",)


def test_a_dry_run_does_everything_but_commit(warehouse: Warehouse, tables: Tables) -> None:
    report = warehouse.load(Load(tables, "test"), PARTITIONS, dry_run=True)
    assert report.changed["patient_journeys"] == 3
    assert set(rows(warehouse).values()) == {0}


def test_a_dry_run_leaves_nothing_behind(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = where(many(tables), "patient_journeys", 8, gender="X")
    report = warehouse.load(Load(spoilt, "test"), PARTITIONS, dry_run=True)
    assert report.load_id is None
    assert report.rejected["treatment_events"] == 2
    assert query(warehouse, "SELECT count(*) FROM e2i.ml_load_batches") == [(0,)]
    assert rejected(warehouse) == []
    assert query(warehouse, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'e2i_%'") == []
    for name, (spoil, message) in BROKEN.items():
        with pytest.raises(LoadError, match=re.escape(message)):
            warehouse.load(Load(spoil(tables), name), PARTITIONS, dry_run=True)


def test_a_dry_run_fails_where_only_the_database_says_no(warehouse: Warehouse, tables: Tables) -> None:
    with warehouse.engine.begin() as connection:
        connection.execute(
            sa.text("ALTER TABLE e2i.treatment_events ADD CONSTRAINT unheard CHECK (cost > 5)")
        )
    given = changed(tables, "treatment_events", cost=pl.lit(1.0))
    for dry_run in (True, False):
        with pytest.raises(DatabaseRefused, match="SQLSTATE 23514, constraint unheard"):
            warehouse.load(Load(given, "test"), PARTITIONS, dry_run=dry_run)


def test_every_partition_is_touched_however_late_its_rows_come(
    warehouse: Warehouse, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "FEW", 1)
    assert warehouse.load(Load(tables, "test"), PARTITIONS).partitions == ("Brand/a", "Brand/b")
    costly = {"treatment_events": tables["treatment_events"].with_columns(cost=pl.lit(1.0))}
    assert warehouse.load(Load(costly, "test"), PARTITIONS).partitions == ("Brand/a", "Brand/b")


def test_a_journey_that_moves_touches_the_partition_that_it_leaves(
    warehouse: Warehouse, tables: Tables
) -> None:
    warehouse.load(Load(tables, "test"), PARTITIONS)
    moved = where(tables, "patient_journeys", 1, indication="b")
    assert warehouse.load(Load(moved, "test"), PARTITIONS).partitions == ("Brand/a", "Brand/b")


def test_a_load_in_parts_is_the_same_load(warehouse: Warehouse, tables: Tables) -> None:
    given = where(many(tables), "treatment_events", 120, event_type=None)
    refused = pl.DataFrame(
        [[200, "e199", "cost", "wrong_type", "must be a number", '{"cost": "so\\u0000"}']],
        schema=REJECTED_SCHEMA,
        orient="row",
    )

    def parts() -> Iterator[pl.DataFrame | Part]:
        events = given["treatment_events"]
        yield events.head(0)
        yield Part(events.slice(0, 101), origin="a.csv")
        yield Part(events.slice(101, 98), refused, origin="b.csv")

    first = warehouse.load(Load({**given, "treatment_events": parts()}, "test"), PARTITIONS)
    assert first.rows["treatment_events"] == 200
    assert query(
        warehouse,
        "SELECT origin, row_number, key, rule, content ->> 'cost' FROM e2i.ml_rejected_rows ORDER BY id",
    ) == [
        ("b.csv", 19, "e119", "null", None),
        ("b.csv", 200, "e199", "wrong_type", r"so\u0000"),
    ]
    whole = warehouse.load(
        Load({**given, "treatment_events": given["treatment_events"].head(199)}, "other"), PARTITIONS
    )
    assert sum(whole.changed.values()) == 0


def test_a_reader_never_sees_half_a_load(here: Settings, warehouse: Warehouse, tables: Tables) -> None:
    seen = []
    small = Warehouse(here.model_copy(update={"batch_size": 1}))
    report = small.load(
        Load(many(tables), "test"), PARTITIONS, progress=lambda *_: seen.append(rows(warehouse))
    )
    assert len(seen) > 8
    assert all(set(s.values()) == {0} for s in seen)
    assert rows(warehouse)["treatment_events"] == report.rows["treatment_events"]


@pytest.mark.parametrize(
    "theirs", ["", "CREATE VIEW v AS SELECT cost FROM e2i.treatment_events GROUP BY treatment_event_id"]
)
def test_many_new_rows_leave_keys_and_indexes_as_they_were(
    warehouse: Warehouse, tables: Tables, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    """Foreign keys and indexes that were made anew for speed, also where a user's view needs one."""
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(theirs or "SELECT")
    described = """
        SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
        WHERE conrelid = 'e2i.treatment_events'::regclass
        UNION ALL SELECT indexname, indexdef, true FROM pg_indexes WHERE tablename = 'treatment_events' ORDER BY 1, 2
        """
    before = query(warehouse, described)
    monkeypatch.setattr(publish, "MANY", 100)
    rebuilt = []
    plain = publish._rebuilt
    monkeypatch.setattr(publish, "_rebuilt", lambda *given: rebuilt.append(given[1:]) or plain(*given))
    warehouse.load(Load(many(tables), "test"), PARTITIONS)
    assert ("treatment_events", 200) in rebuilt
    assert query(warehouse, described) == before
    with pytest.raises(sa.exc.IntegrityError), warehouse.engine.begin() as connection:
        connection.execute(sa.text("UPDATE e2i.treatment_events SET patient_journey_id = 'nobody'"))


def test_the_database_itself_refuses_what_validation_missed(warehouse: Warehouse, tables: Tables) -> None:
    """CHECKs and keys come from the contracts, so the warehouse holds them against any writer."""
    warehouse.load(Load(tables, "test"), PARTITIONS)
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
    assert "E2I_DATABASE_URL" in error.value.next_step
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
    assert warehouse.load(load, PARTITIONS).rows == {t: f.height for t, f in tables.items()}
    assert warehouse.extract("patient_journeys", "Brand", "a").equals(
        tables["patient_journeys"].filter(pl.col("indication") == "a")
    )


SPEC = GeneratorSpec(scale="small", seed=1)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_store_that_refuses_leaves_the_warehouse_as_it_was(
    here: Settings, warehouse: Warehouse, tmp_path: Path, dry_run: bool
) -> None:
    """The generator's own truth is kept in the store; data without it would be half a job."""
    (tmp_path / "file").write_text("")
    refusing = here.model_copy(update={"artifacts": str(tmp_path / "file" / "artifacts")})
    with pytest.raises(ArtifactRefused, match="cannot write to the artifact folder"):
        generate_and_load(refusing, warehouse, SPEC, dry_run=dry_run, show=False)
    assert set(rows(warehouse).values()) == {0}


def test_a_dry_run_of_the_generator_stores_nothing(here: Settings, warehouse: Warehouse) -> None:
    made = generate_and_load(here, warehouse, SPEC, dry_run=True, show=False)
    assert (made.kept, made.report.changed["patient_journeys"]) == (None, 2500)
    assert [path for path in Path(here.artifacts_url).rglob("*") if path.is_file()] == []
    assert set(rows(warehouse).values()) == {0}


def test_generated_data_load_with_their_truth(here: Settings, warehouse: Warehouse) -> None:
    made = generate_and_load(here, warehouse, SPEC, show=False)
    assert len(made.report.partitions) == 4
    known = declared(here).oracle
    assert known is not None
    assert known.height == rows(warehouse)["patient_journeys"] == made.declared.truth["overall"]["n"] == 2500
    assert made.kept is not None
    assert (
        json.loads((Path(made.kept.removeprefix("file://")) / "truth.json").read_text())
        == made.declared.truth
    )
    with warehouse.engine.connect() as connection:
        assert connection.scalar(sa.select(load_batches.c.truth)) == made.declared.truth
    (Path(made.kept.removeprefix("file://")) / "truth.json").write_text("{}")
    with pytest.raises(
        ArtifactRefused, match=r"(?s)truth\.json is missing or not as written.*e2i data generate"
    ):
        declared(here)
    assert generate_and_load(here, warehouse, SPEC, show=False).report.load_id is None
    assert known.equals(declared(here).oracle)
