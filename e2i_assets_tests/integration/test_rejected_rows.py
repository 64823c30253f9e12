"""Loading bad rows: they are kept apart with the reason, bad tables refused, each mistake named."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
import sqlalchemy as sa

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.load import Load
from e2i_assets.ingest.problems import LoadError
from e2i_assets.settings import Settings
from e2i_assets.warehouse import loader
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.load_frames import (
    BROKEN,
    NOW,
    PARTITIONS,
    Tables,
    changed,
    frame,
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


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named_and_nothing_is_loaded(
    warehouse: Warehouse, tables: Tables, name: str
) -> None:
    spoil, message = BROKEN[name]
    with pytest.raises(LoadError) as error:
        warehouse.load(Load(spoil(tables), "input.csv"), PARTITIONS)
    assert message in str(error.value)
    assert "input.csv" in str(error.value)
    assert "secret" not in str(error.value)
    assert set(rows(warehouse).values()) == {0}


def test_every_problem_is_told_at_once(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = changed(tables, "patient_journeys", age_at_diagnosis=pl.lit(200, pl.Int64), gender=pl.lit("X"))
    with pytest.raises(LoadError) as error:
        warehouse.load(Load(spoilt, "input.csv"), PARTITIONS)
    assert len(error.value.problems) == 2


def test_a_bad_row_is_kept_apart_and_its_children_with_it(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = where(many(tables), "patient_journeys", 8, age_at_diagnosis=200, gender="X")
    spoilt = where(spoilt, "treatment_events", 3, event_type=None)
    report = warehouse.load(Load(spoilt, "input.csv"), PARTITIONS)
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
    "unknown brand": ("patient_journeys", "brand", "Nonesuch", "partition"),
    "order of dates": ("patient_journeys", "first_observation_date", dt.date(2030, 1, 1), "check:observation_in_order"),
    "unknown parent": ("treatment_events", "patient_journey_id", "nobody", "reference"),
    "key of an earlier row": ("treatment_events", "treatment_event_id", "e0", "duplicate"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_the_warehouse_cannot_hold_is_kept_as_a_rejected_row(
    warehouse: Warehouse, tables: Tables, name: str
) -> None:
    table, column, value, rule = ODD[name]
    report = warehouse.load(Load(where(many(tables), table, 50, **{column: value}), "input.csv"), PARTITIONS)
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
    report = warehouse.load(Load(spoilt, "test"), PARTITIONS)
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
    assert warehouse.load(Load(another, "test"), PARTITIONS).rejected == {"hcp_profiles": 1}


@pytest.mark.parametrize(
    ("keys", "again"),
    [("abcdefghijkl", ""), ("abcdefghijkk", "k"), ("abbcdefghijk", "b"), ("abcdbefghijk", "b"),
     ("badcfehgjilk", ""), ("cdabefghijkl", ""), ("cdabefghijka", "a")],
)  # fmt: skip
def test_repeated_keys_are_found_in_whatever_order(
    here: Settings, monkeypatch: pytest.MonkeyPatch, keys: str, again: str
) -> None:
    """In writes of two rows: beside each other, in neighbouring writes, far apart; and ordered or not."""
    monkeypatch.setattr(loader, "BATCHES_PER_WRITE", 1)
    monkeypatch.setattr(loader, "ENOUGH", 50)
    warehouse = Warehouse(here.model_copy(update={"batch_size": 2}))
    warehouse.load(Load({"hcp_profiles": frame("hcp_profiles", hcp_id=list(keys))}, "test"), PARTITIONS)
    assert [key for _, _, key, _, _ in rejected(warehouse)] == list(again)


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
        warehouse.load(Load(six, "input.csv"), PARTITIONS, progress=lambda done, table, n: read.append(table))
    message = str(error.value)
    assert "table patient_journeys: fails: 94 of 100 rows can be loaded, 95% must be" in message
    assert "column gender: must be one of F, M (6 rows: 1, 2, 3, 4, 5, …)" in message
    assert "table treatment_events: is not tried, because a table it refers to fails" in message
    assert "treatment_events" not in read
    assert set(rows(warehouse).values()) == {0}, "nor is anything else of the load visible"
    assert query(warehouse, "SELECT status, committed_at, rejected FROM e2i.ml_load_batches") == [
        ("failed", None, {"hcp_profiles": 0, "patient_journeys": 6})
    ]
    assert len(rejected(warehouse)) == 6
    assert warehouse.watermark("Brand", "a") is None
    with pytest.raises(LoadError) as rehearsed:
        warehouse.load(Load(six, "input.csv"), PARTITIONS, dry_run=True)
    assert str(rehearsed.value) == message.rsplit("\n", 1)[0], "the dry run says the same"
    assert len(rejected(warehouse)) == 6
    tried = warehouse.load(Load(five, "input.csv"), PARTITIONS, dry_run=True)
    assert tried.rejected["patient_journeys"] == 5
    assert tried.reasons[0] == (
        "input.csv: table patient_journeys, column gender: must be one of F, M (5 rows: 1, 2, 3, 4, 5)"
    )
    assert warehouse.load(Load(five, "input.csv"), PARTITIONS).reasons == tried.reasons


def test_a_rule_that_no_row_keeps_is_one_error_and_no_rejected_rows(here: Settings, tables: Tables) -> None:
    """A wrong mapping, then; but one batch may be of another brand from end to end."""
    warehouse = Warehouse(here.model_copy(update={"batch_size": 1}))
    given = many(tables, journeys=1000)
    wrong = changed(given, "patient_journeys", brand=pl.lit("Nonesuch"))
    with pytest.raises(
        LoadError,
        match=r"(?s)brand: is no brand .*\(1000 rows: 1, 2, 3, 4, 5, …\).* config/cohorts/<partition>.yaml: copy",
    ):
        warehouse.load(Load(wrong, "input.csv"), PARTITIONS)
    assert query(warehouse, "SELECT count(*) FROM e2i.ml_load_batches") == [(0,)]
    first = pl.when(pl.int_range(pl.len()) < 25).then(pl.lit("Nonesuch")).otherwise(pl.col("brand"))
    report = warehouse.load(
        Load({**given, "patient_journeys": given["patient_journeys"].with_columns(brand=first),
              "treatment_events": given["treatment_events"].tail(100)}, "input.csv"), PARTITIONS
    )  # fmt: skip
    assert report.rejected == {"hcp_profiles": 0, "patient_journeys": 25, "treatment_events": 0}


def test_the_same_rejected_rows_again_are_not_recorded_twice(warehouse: Warehouse, tables: Tables) -> None:
    spoilt = where(many(tables), "patient_journeys", 8, gender="X")
    first = warehouse.load(Load(spoilt, "test"), PARTITIONS)
    later = changed(
        spoilt,
        "patient_journeys",
        ingestion_timestamp=pl.lit(NOW + dt.timedelta(1)).cast(pl.Datetime("us", "UTC")),
    )
    assert warehouse.load(Load(later, "test"), PARTITIONS).load_id is None
    assert len(rejected(warehouse)) == 3
    worse = warehouse.load(Load(where(spoilt, "treatment_events", 1, event_type=None), "test"), PARTITIONS)
    assert worse.load_id is not None
    assert worse.partitions == ()
    assert warehouse.watermark("Brand", "a") == first.load_id


def test_a_rejected_journey_keeps_its_last_good_version(warehouse: Warehouse, tables: Tables) -> None:
    given = many(tables)
    warehouse.load(Load(given, "test", replaces="test"), PARTITIONS)
    worse = where(given, "patient_journeys", 8, gender="X")
    report = warehouse.load(Load(worse, "test", replaces="test"), PARTITIONS)
    assert report.changed == {"hcp_profiles": 0, "patient_journeys": 0, "treatment_events": 0}
    assert report.rejected == {"hcp_profiles": 0, "patient_journeys": 1, "treatment_events": 0}
    assert rows(warehouse)["patient_journeys"] == 100


def test_a_child_of_a_journey_that_is_removed_is_rejected(warehouse: Warehouse, tables: Tables) -> None:
    given = many(tables)
    warehouse.load(Load(given, "test", replaces="test"), PARTITIONS)
    fewer = {**given, "patient_journeys": given["patient_journeys"].head(99)}
    report = warehouse.load(Load(fewer, "test", replaces="test"), PARTITIONS)
    assert [row[2:] for row in rejected(warehouse)] == [
        (f"e{n}", "patient_journey_id", "reference") for n in (99, 199)
    ]
    assert report.changed["patient_journeys"] == 1


def test_only_stewards_read_rejected_rows_even_where_all_tables_are_granted(
    warehouse: Warehouse, tables: Tables
) -> None:
    warehouse.load(Load(where(many(tables), "patient_journeys", 8, gender="X"), "test"), PARTITIONS)
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
