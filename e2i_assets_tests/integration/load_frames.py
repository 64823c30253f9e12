"""Small tables to load, mistakes to make in them, and what the warehouse then holds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import sqlalchemy as sa

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.warehouse.warehouse import Warehouse

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PARTITIONS = {("Brand", "a"), ("Brand", "b")}
Tables = dict[str, pl.DataFrame]


def frame(table: str, **values: list[object]) -> pl.DataFrame:
    rows = len(next(iter(values.values())))
    return pl.DataFrame(
        [pl.Series(c.name, values.get(c.name, [None] * rows), dtype=c.dtype) for c in columns(TABLES[table])]
    )


def small_tables() -> Tables:
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
    return {status.table: status.rows for status in warehouse.status()}


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
