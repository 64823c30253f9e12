"""A source owns its rows: another one can neither take them over nor be mixed up with it."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from e2i_assets.ingest.load import Load
from e2i_assets.ingest.problems import LoadError
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.load_frames import (
    NOW,
    PARTITIONS,
    Tables,
    changed,
    many,
    query,
    rejected,
    small_tables,
)


def of(tables: Tables, source: str) -> Tables:
    return changed(tables, "patient_journeys", data_source=pl.lit(source))


def loaded(warehouse: Warehouse, tables: Tables, source: str) -> None:
    warehouse.load(Load(of(tables, source), source), PARTITIONS)


def prefixed(frame: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return frame.with_columns(patient_journey_id=prefix + pl.col("patient_journey_id"))


def partitions(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return query(
        warehouse,
        "SELECT data_source, indication, count(*) FROM e2i.patient_journeys GROUP BY 1, 2 ORDER BY 1, 2",
    )


def test_an_import_does_not_take_over_anothers_patients(warehouse: Warehouse) -> None:
    tables = many(small_tables())
    loaded(warehouse, tables, "first trial")
    before = partitions(warehouse)
    other = changed(tables, "patient_journeys", indication=pl.lit("b"), age_at_diagnosis=pl.lit(70, pl.Int64))
    with pytest.raises(LoadError) as refused:
        loaded(warehouse, other, "second trial")
    assert 'is a key of source "first trial", and this row comes from "second trial"' in str(refused.value)
    assert "column patient_journey_id" in str(refused.value)
    assert "e2i data delete --source" in str(refused.value)
    assert partitions(warehouse) == before
    # With keys of its own it comes in beside.
    renamed = {"patient_journeys": prefixed(other["patient_journeys"], "second_")}
    loaded(warehouse, renamed, "second trial")
    assert partitions(warehouse) == [*before, ("second trial", "b", 100)]


def test_single_keys_of_another_source_are_rejected_with_what_hangs_on_them(warehouse: Warehouse) -> None:
    tables = many(small_tables())
    loaded(warehouse, tables, "first")
    journeys = tables["patient_journeys"]
    mixed = {"patient_journeys": pl.concat([journeys.head(2), prefixed(journeys.slice(2), "x")])}
    report = warehouse.load(Load(of(mixed, "second"), "second"), PARTITIONS)
    assert report.rejected == {"patient_journeys": 2}
    assert rejected(warehouse) == [
        ("patient_journeys", 1, "j0", "patient_journey_id", "source"),
        ("patient_journeys", 2, "j1", "patient_journey_id", "source"),
    ]


def test_events_are_their_journeys_sources(warehouse: Warehouse) -> None:
    tables = many(small_tables())
    loaded(warehouse, tables, "first")
    journeys, events = (prefixed(tables[name], "x") for name in ("patient_journeys", "treatment_events"))
    with pytest.raises(LoadError, match=r'column treatment_event_id: is a key of source "first"'):
        loaded(warehouse, {"patient_journeys": journeys, "treatment_events": events}, "second")
    assert query(warehouse, "SELECT count(*) FROM e2i.treatment_events WHERE patient_journey_id ~ 'x'") == [
        (0,)
    ]
    # A source that has no name, from before there were any, can be taken over.
    warehouse.engine.connect().execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
        "UPDATE e2i.patient_journeys SET data_source = NULL"
    )
    loaded(warehouse, tables, "second")
    assert {source for source, _, _ in partitions(warehouse)} == {"second"}


@pytest.mark.parametrize("table", ["patient_journeys", "treatment_events"])
def test_a_correction_of_when_the_source_recorded_it_is_a_change(warehouse: Warehouse, table: str) -> None:
    tables = many(small_tables())
    loaded(warehouse, tables, "first")
    later = changed(tables, table, source_timestamp=pl.lit(NOW - dt.timedelta(days=1)))
    report = warehouse.load(Load(of(later, "first"), "first"), PARTITIONS)
    assert report.changed[table] == tables[table].height
    assert report.partitions == ("Brand/a",)
    again = changed(later, table, ingestion_timestamp=pl.lit(NOW + dt.timedelta(days=2)))
    assert not any(warehouse.load(Load(of(again, "first"), "first"), PARTITIONS).changed.values())
