"""Loading: bad rows are kept apart, bad tables refused, each mistake named, nothing of a patient in a message."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.cli.generate import generate_and_load, oracle
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest import publish
from e2i_assets.ingest.load import REFUSED_SCHEMA, Load, Part
from e2i_assets.ingest.problems import LoadError
from e2i_assets.ingest.sources import read_source
from e2i_assets.ingest.synthetic import GeneratorSpec
from e2i_assets.ingest.transactions import DatabaseRefused
from e2i_assets.resources.postgres import WarehouseUnavailable
from e2i_assets.resources.records import load_batches
from e2i_assets.resources.store import ArtifactRefused
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
    "unknown table": (lambda t: {**t, "shoes": t["hcp_profiles"]}, "table shoes: is none of hcp_profiles"),
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


def many(tables: Tables, journeys: int = 100, events: int = 200) -> Tables:
    """The same tables with more rows: journeys j0, j1 ... of one HCP, events e0, e1 ... on them in turn."""
    j, e = pl.int_range(journeys, eager=True), pl.int_range(events, eager=True)
    numbered = lambda prefix, numbers: prefix + numbers.cast(pl.String)  # noqa: E731
    return {
        "hcp_profiles": tables["hcp_profiles"],
        "patient_journeys": tables["patient_journeys"].sample(journeys, with_replacement=True, seed=1).with_columns(
            patient_journey_id=numbered("j", j), patient_id=numbered("secret", j), indication=pl.lit("a")
        ),
        "treatment_events": tables["treatment_events"].sample(events, with_replacement=True, seed=1).with_columns(
            treatment_event_id=numbered("e", e), patient_journey_id=numbered("j", e % journeys),
            patient_id=numbered("secret", e % journeys),
        ),
    }  # fmt: skip


def where(tables: Tables, table: str, row: int, **values: object) -> Tables:
    """The tables with other values in one row (counted from 1)."""
    this = pl.int_range(pl.len()) == row - 1
    return changed(
        tables,
        table,
        **{
            n: pl.when(this).then(v if isinstance(v, pl.Expr) else pl.lit(v)).otherwise(pl.col(n))
            for n, v in values.items()
        },
    )


def rejected(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return query(
        warehouse,
        "SELECT table_name, row_number, key, column_name, rule FROM e2i.ml_rejected_rows ORDER BY id",
    )


def query(warehouse: Warehouse, sql: str) -> list[tuple[object, ...]]:
    with warehouse.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(sql))]


def test_a_bad_row_is_kept_apart_and_its_children_with_it(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = where(many(tables), "patient_journeys", 8, age_at_diagnosis=200, gender="X")
    spoilt = where(spoilt, "treatment_events", 3, event_type=None)
    report = warehouse.load(Load(spoilt, "input.csv"), PROGRAMMES)
    assert report.rejected == {"hcp_profiles": 0, "patient_journeys": 1, "treatment_events": 3}
    assert report.changed == {"hcp_profiles": 2, "patient_journeys": 99, "treatment_events": 197}
    assert rows(warehouse)["treatment_events"] == 197
    assert rejected(warehouse) == [
        ("patient_journeys", 8, "j7", "age_at_diagnosis", "high"),
        ("treatment_events", 3, "e2", "event_type", "null"),
        ("treatment_events", 8, "e7", "patient_journey_id", "parent_rejected"),
        ("treatment_events", 108, "e107", "patient_journey_id", "parent_rejected"),
    ]
    contents = query(warehouse, "SELECT content FROM e2i.ml_rejected_rows ORDER BY id")
    assert contents[0][0]["age_at_diagnosis"] == 200  # type: ignore[index]
    assert contents[0][0]["first_observation_date"] == "2024-01-01"  # type: ignore[index]
    assert set(contents[2][0]) == {c.name for c in columns(TABLES["treatment_events"])}  # type: ignore[call-overload]
    assert query(warehouse, "SELECT DISTINCT load_id, origin FROM e2i.ml_rejected_rows") == [
        (report.load_id, "input.csv")
    ]


ODD: dict[str, tuple[str, str, object, str]] = {
    "NUL": ("patient_journeys", "patient_id", "a\0b", "nul"),
    "10 MB key": ("patient_journeys", "patient_journey_id", "j" * 10_000_000, "too_long"),
    "year 15000": ("treatment_events", "event_date", pl.lit(4_760_000).cast(pl.Int32).cast(pl.Date), "day"),
    "no JSON": ("patient_journeys", "clinical_attributes", '{"x": NaN}', "json"),
    "JSON with a NUL": ("patient_journeys", "clinical_attributes", '{"x": "\\u0000"}', "json"),
    "infinity": ("treatment_events", "cost", float("inf"), "not_finite"),
    "unknown brand": ("patient_journeys", "brand", "Nonesuch", "programme"),
    "order of dates": ("patient_journeys", "first_observation_date", dt.date(2030, 1, 1), "check:observation_in_order"),
    "unknown parent": ("treatment_events", "patient_journey_id", "nobody", "reference"),
    "key of an earlier row": ("treatment_events", "treatment_event_id", "e0", "duplicate"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_the_warehouse_cannot_hold_is_kept_as_a_rejected_row(
    warehouse: Warehouse, tables: Tables, name: str
) -> None:
    table, column, value, rule = ODD[name]
    report = warehouse.load(Load(where(many(tables), table, 50, **{column: value}), "input.csv"), PROGRAMMES)
    assert rejected(warehouse)[0][:2] == (table, 50)
    assert rejected(warehouse)[0][4] == rule
    assert rows(warehouse)[table] == report.rows[table] - report.rejected[table] > 90
    (content,) = query(
        warehouse, f"SELECT content ->> '{column}' FROM e2i.ml_rejected_rows ORDER BY id LIMIT 1"
    )
    assert content[0] is not None


def test_keys_and_parents_are_found_across_batches(here: Settings, tables: Tables) -> None:
    warehouse = Warehouse(here.model_copy(update={"batch_size": 2}))
    spoilt = where(many(tables), "treatment_events", 199, treatment_event_id="e3", cost=7.0)
    spoilt = where(spoilt, "hcp_profiles", 2, npi="1")
    spoilt["hcp_profiles"] = pl.concat(
        [
            spoilt["hcp_profiles"],
            frame("hcp_profiles", hcp_id=[f"x{i}" for i in range(98)], npi=["1", *[None] * 97]),
        ]
    )
    report = warehouse.load(Load(spoilt, "test"), PROGRAMMES)
    assert rejected(warehouse) == [
        ("hcp_profiles", 3, "x0", "npi", "duplicate"),
        ("treatment_events", 199, "e3", "treatment_event_id", "duplicate"),
    ]
    assert report.batches == {"hcp_profiles": 50, "patient_journeys": 50, "treatment_events": 100}
    assert query(warehouse, "SELECT cost FROM e2i.treatment_events WHERE treatment_event_id = 'e3'") != [
        (7.0,)
    ]
    another = {
        "hcp_profiles": frame("hcp_profiles", hcp_id=[f"y{i}" for i in range(40)], npi=["1", *[None] * 39])
    }
    assert warehouse.load(Load(another, "test"), PROGRAMMES).rejected == {"hcp_profiles": 1}


def test_a_table_fails_below_95_percent_and_then_its_children_are_not_tried(
    warehouse: Warehouse, tables: Tables
) -> None:
    given = many(tables)
    five, six = (
        changed(given, "patient_journeys", gender=pl.when(pl.int_range(pl.len()) < n).then(pl.lit("X")))
        for n in (5, 6)
    )
    read: list[str] = []
    with pytest.raises(LoadError) as error:
        warehouse.load(Load(six, "input.csv"), PROGRAMMES, progress=lambda done, table, n: read.append(table))
    said = str(error.value)
    assert "table patient_journeys: fails: 94 of 100 rows can be loaded, 95% must be" in said
    assert "column gender: must be one of F, M (6 rows: 1, 2, 3, 4, 5, …)" in said
    assert "table treatment_events: is not tried, because a table it refers to fails" in said
    assert "treatment_events" not in read
    assert set(rows(warehouse).values()) == {0}, "nor is anything else of the load visible"
    assert query(warehouse, "SELECT status, committed_at, rejected FROM e2i.ml_load_batches") == [
        ("failed", None, {"hcp_profiles": 0, "patient_journeys": 6})
    ]
    assert len(rejected(warehouse)) == 6
    assert warehouse.watermark("Brand", "a") is None
    with pytest.raises(LoadError) as rehearsed:
        warehouse.load(Load(six, "input.csv"), PROGRAMMES, dry_run=True)
    assert str(rehearsed.value) == said.rsplit("\n", 1)[0], "the dry run says the same"
    assert len(rejected(warehouse)) == 6
    tried = warehouse.load(Load(five, "input.csv"), PROGRAMMES, dry_run=True)
    assert tried.rejected["patient_journeys"] == 5
    assert tried.reasons[0] == (
        "input.csv: table patient_journeys, column gender: must be one of F, M (5 rows: 1, 2, 3, 4, 5)"
    )
    assert warehouse.load(Load(five, "input.csv"), PROGRAMMES).reasons == tried.reasons


def test_a_rule_that_no_row_keeps_is_one_error_and_no_rejected_rows(here: Settings, tables: Tables) -> None:
    """A wrong mapping, then; but one batch may be of another brand from end to end."""
    warehouse = Warehouse(here.model_copy(update={"batch_size": 1}))
    given = many(tables, journeys=1000)
    wrong = changed(given, "patient_journeys", brand=pl.lit("Nonesuch"))
    with pytest.raises(LoadError, match=r"brand: is no brand .*\(1000 rows: 1, 2, 3, 4, 5, …\)"):
        warehouse.load(Load(wrong, "input.csv"), PROGRAMMES)
    assert query(warehouse, "SELECT count(*) FROM e2i.ml_load_batches") == [(0,)]
    first = pl.when(pl.int_range(pl.len()) < 25).then(pl.lit("Nonesuch")).otherwise(pl.col("brand"))
    report = warehouse.load(
        Load({**given, "patient_journeys": given["patient_journeys"].with_columns(brand=first),
              "treatment_events": given["treatment_events"].tail(100)}, "input.csv"), PROGRAMMES
    )  # fmt: skip
    assert report.rejected == {"hcp_profiles": 0, "patient_journeys": 25, "treatment_events": 0}


def test_a_dry_run_leaves_nothing_behind(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = where(many(tables), "patient_journeys", 8, gender="X")
    report = warehouse.load(Load(spoilt, "test"), PROGRAMMES, dry_run=True)
    assert report.load_id is None
    assert report.rejected["treatment_events"] == 2
    assert query(warehouse, "SELECT count(*) FROM e2i.ml_load_batches") == [(0,)]
    assert rejected(warehouse) == []
    assert query(warehouse, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'e2i_%'") == []
    for name, (spoil, said) in BROKEN.items():
        with pytest.raises(LoadError, match=re.escape(said)):
            warehouse.load(Load(spoil(tables), name), PROGRAMMES, dry_run=True)


def test_a_dry_run_fails_where_only_the_database_says_no(warehouse: Warehouse, tables: Tables) -> None:
    with warehouse.engine.begin() as connection:
        connection.execute(
            sa.text("ALTER TABLE e2i.treatment_events ADD CONSTRAINT unheard CHECK (cost > 5)")
        )
    given = changed(tables, "treatment_events", cost=pl.lit(1.0))
    for dry_run in (True, False):
        with pytest.raises(DatabaseRefused, match="SQLSTATE 23514, constraint unheard"):
            warehouse.load(Load(given, "test"), PROGRAMMES, dry_run=dry_run)


def test_the_same_rejected_rows_again_are_not_recorded_twice(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = where(many(tables), "patient_journeys", 8, gender="X")
    first = warehouse.load(Load(spoilt, "test"), PROGRAMMES)
    later = changed(
        spoilt,
        "patient_journeys",
        ingestion_timestamp=pl.lit(NOW + dt.timedelta(1)).cast(pl.Datetime("us", "UTC")),
    )
    assert warehouse.load(Load(later, "test"), PROGRAMMES).load_id is None
    assert len(rejected(warehouse)) == 3
    worse = warehouse.load(Load(where(spoilt, "treatment_events", 1, event_type=None), "test"), PROGRAMMES)
    assert worse.load_id is not None
    assert worse.programmes == ()
    assert warehouse.watermark("Brand", "a") == first.load_id


def test_a_rejected_journey_keeps_its_last_good_version(warehouse: Warehouse, tables: Tables) -> None:
    given = many(tables)
    warehouse.load(Load(given, "test", replaces="test"), PROGRAMMES)
    worse = where(given, "patient_journeys", 8, gender="X")
    report = warehouse.load(Load(worse, "test", replaces="test"), PROGRAMMES)
    assert report.changed == {"hcp_profiles": 0, "patient_journeys": 0, "treatment_events": 0}
    assert report.rejected == {"hcp_profiles": 0, "patient_journeys": 1, "treatment_events": 0}
    assert rows(warehouse)["patient_journeys"] == 100


def test_a_child_of_a_journey_that_is_removed_is_rejected(warehouse: Warehouse, tables: Tables) -> None:
    given = many(tables)
    warehouse.load(Load(given, "test", replaces="test"), PROGRAMMES)
    fewer = {**given, "patient_journeys": given["patient_journeys"].head(99)}
    report = warehouse.load(Load(fewer, "test", replaces="test"), PROGRAMMES)
    assert [row[2:] for row in rejected(warehouse)] == [
        (f"e{n}", "patient_journey_id", "reference") for n in (99, 199)
    ]
    assert report.changed["patient_journeys"] == 1


def test_a_journey_that_moves_touches_the_programme_that_it_leaves(
    warehouse: Warehouse, tables: Tables
) -> None:
    warehouse.load(Load(tables, "test"), PROGRAMMES)
    moved = where(tables, "patient_journeys", 1, indication="b")
    assert warehouse.load(Load(moved, "test"), PROGRAMMES).programmes == ("Brand/a", "Brand/b")


def test_a_load_in_parts_is_the_same_load(warehouse: Warehouse, tables: Tables) -> None:
    given = where(many(tables), "treatment_events", 120, event_type=None)
    refused = pl.DataFrame(
        [[200, "e199", "cost", "wrong_type", "must be a number", '{"cost": "so\\u0000"}']],
        schema=REFUSED_SCHEMA,
        orient="row",
    )

    def parts() -> Iterator[pl.DataFrame | Part]:
        events = given["treatment_events"]
        yield events.head(0)
        yield Part(events.slice(0, 101), origin="a.csv")
        yield Part(events.slice(101, 98), refused, origin="b.csv")

    first = warehouse.load(Load({**given, "treatment_events": parts()}, "test"), PROGRAMMES)
    assert first.rows["treatment_events"] == 200
    assert query(
        warehouse,
        "SELECT origin, row_number, key, rule, content ->> 'cost' FROM e2i.ml_rejected_rows ORDER BY id",
    ) == [
        ("b.csv", 19, "e119", "null", None),
        ("b.csv", 200, "e199", "wrong_type", r"so\u0000"),
    ]
    whole = warehouse.load(
        Load({**given, "treatment_events": given["treatment_events"].head(199)}, "other"), PROGRAMMES
    )
    assert sum(whole.changed.values()) == 0


def test_a_reader_never_sees_half_a_load(here: Settings, warehouse: Warehouse, tables: Tables) -> None:
    seen = []
    small = Warehouse(here.model_copy(update={"batch_size": 1}))
    report = small.load(
        Load(many(tables), "test"), PROGRAMMES, progress=lambda *_: seen.append(rows(warehouse))
    )
    assert len(seen) > 15
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
    warehouse.load(Load(many(tables), "test"), PROGRAMMES)
    assert ("treatment_events", 200) in rebuilt
    assert query(warehouse, described) == before
    with pytest.raises(sa.exc.IntegrityError), warehouse.engine.begin() as connection:
        connection.execute(sa.text("UPDATE e2i.treatment_events SET patient_journey_id = 'nobody'"))


def test_only_stewards_read_rejected_rows_even_where_all_tables_are_granted(
    warehouse: Warehouse, tables: Tables
) -> None:
    warehouse.load(Load(where(many(tables), "patient_journeys", 8, gender="X"), "test"), PROGRAMMES)
    count = "SELECT count(*) FROM e2i.ml_rejected_rows"
    with warehouse.engine.connect() as connection:
        connection.execute(sa.text("CREATE ROLE somebody"))
        connection.execute(sa.text("GRANT USAGE ON SCHEMA e2i TO somebody"))
        connection.execute(sa.text("SET LOCAL ROLE somebody"))
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), connection.begin_nested():
            connection.execute(sa.text(count))
        connection.execute(sa.text("RESET ROLE"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA e2i TO somebody"))
        connection.execute(sa.text("SET LOCAL ROLE somebody"))
        assert connection.scalar(sa.text(count)) == 0
        connection.execute(sa.text("RESET ROLE"))
        connection.execute(sa.text("SET LOCAL ROLE e2i_data_steward"))
        assert connection.scalar(sa.text(count)) == 3
        connection.rollback()


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
    assert len(made.report.programmes) == 4
    known = oracle(here)
    assert known is not None
    assert known.height == rows(warehouse)["patient_journeys"] == made.declared.truth["overall"]["n"] == 2500
    assert made.kept is not None
    assert (
        json.loads((Path(made.kept.removeprefix("file://")) / "truth.json").read_text())
        == made.declared.truth
    )
    with warehouse.engine.connect() as connection:
        assert connection.scalar(sa.select(load_batches.c.truth)) == made.declared.truth
    assert generate_and_load(here, warehouse, SPEC, show=False).report.load_id is None
