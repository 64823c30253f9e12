"""Load tables into the warehouse: validated first, then copied and merged in one transaction.

A load is all or nothing. Rows are copied into temporary tables and merged by primary key, so loading the same
data again changes nothing, touches no partition and asks for no refresh.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from e2i_assets.contracts.base import columns, facts_of, key_of
from e2i_assets.contracts.ddl import SCHEMA
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.load import ROW, Load
from e2i_assets.ingest.problems import (
    LoadError,
    Problem,
    contract_problems,
    has_brand,
    programme_problems,
    reference_problems,
)

Programme = tuple[str, str]
LOCK = 0x0E21
"""Advisory lock held while a load is written: loads follow each other."""


@dataclass(frozen=True)
class LoadReport:
    """What a load did: rows given and changed for each table, and the programmes that it touched."""

    load_id: int | None
    rows: dict[str, int]
    changed: dict[str, int]
    programmes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "load_id": self.load_id, "rows": self.rows, "changed": self.changed,
            "programmes": list(self.programmes),
        }  # fmt: skip


@dataclass(frozen=True)
class Whole(Load):
    """A load whose tables are in memory."""

    tables: Mapping[str, pl.DataFrame]


def in_memory(load: Load) -> Whole:
    """The same load with each table as one frame.

    Raises:
        LoadError: rows that the source refused.
    """
    tables, problems = {}, []
    for table in load.tables:
        frames = []
        for part in load.parts(table):
            frames.append(part.frame.drop(ROW, strict=False))
            if part.refused is not None:
                origin = part.origin or load.origin(table)
                problems += [
                    Problem(origin, table, row["column"], row["reason"], 1, (row["row"],))
                    for row in part.refused.to_dicts()
                ]
        tables[table] = pl.concat(frames)
    if problems:
        raise LoadError(problems)
    return Whole(tables, load.source, load.origins, load.replaces, load.truth)


def validate(load: Whole, programmes: Collection[Programme], stored_keys: Callable[[str], pl.Series]) -> None:
    """Check every table of a load against contracts, known programmes and references.

    Args:
        stored_keys: the keys that the warehouse already holds of `table.column`.

    Raises:
        LoadError: with every problem found.
    """
    problems = [
        problem
        for table, frame in load.tables.items()
        for problem in contract_problems(table, frame, load.origin(table))
    ]
    if problems:
        raise LoadError(problems)
    known = {reference: _keys(load, reference, stored_keys) for reference in _references(load.tables)}
    for table, frame in load.tables.items():
        problems += reference_problems(table, frame, load.origin(table), known)
        if has_brand(table):
            problems += programme_problems(table, frame, load.origin(table), programmes)
    if problems:
        raise LoadError(problems)


def write(
    connection: Any,
    load: Whole,
    on_table: Callable[[str, int], None] | None = None,
    *,
    commit: bool = True,
) -> LoadReport:
    """Merge a validated load in one transaction and record it; without `commit` it is rolled back.

    Args:
        connection: an ADBC connection to the warehouse, not in autocommit mode.
        on_table: called with the table and its number of rows when it is merged.

    Returns:
        The report; `load_id` is None when nothing changed, and then nothing is recorded.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            report = _write(cursor, load, on_table or (lambda table, rows: None))
        (connection.commit if commit else connection.rollback)()
    except BaseException:
        connection.rollback()
        raise
    return report


def _write(cursor: Any, load: Whole, on_table: Callable[[str, int], None]) -> LoadReport:
    cursor.execute("CREATE TEMP TABLE touched_programme (brand text, indication text) ON COMMIT DROP")
    order = [table for table in TABLES if table in load.tables]
    for table in order:
        cursor.adbc_ingest(f"stage_{table}", load.tables[table].to_arrow(), mode="create", temporary=True)
        cursor.execute(f"ALTER TABLE stage_{table} ADD PRIMARY KEY ({key_of(TABLES[table])})")
    changed = dict.fromkeys(order, 0)
    if load.replaces is not None:
        changed |= _remove_superseded(cursor, load, order)
    for table in order:
        changed[table] += _merge(cursor, table)
        on_table(table, load.tables[table].height)
    cursor.execute("SELECT DISTINCT brand || '/' || indication AS p FROM touched_programme ORDER BY p")
    programmes = tuple(row[0] for row in cursor.fetchall())
    rows = {table: load.tables[table].height for table in order}
    load_id = _record(cursor, load, rows, changed, programmes) if any(changed.values()) else None
    for table in order:
        cursor.execute(f"DROP TABLE stage_{table}")
    return LoadReport(load_id, rows, changed, programmes)


def _merge(cursor: Any, table: str) -> int:
    """Insert new rows and update rows that differ; returns how many."""
    described = columns(TABLES[table])
    key = key_of(TABLES[table])
    names = ", ".join(c.name for c in described)
    values = ", ".join(f"{c.name}::jsonb" if c.json else c.name for c in described)
    # A row that merely arrived again has not changed.
    compared = [c.name for c in described if c.role != "audit" and not c.key]
    old = ", ".join(f"t.{name}" for name in compared)
    new = ", ".join(f"EXCLUDED.{name}" for name in compared)
    updates = ", ".join(f"{c.name} = EXCLUDED.{c.name}" for c in described if not c.key)
    cursor.execute(f"CREATE TEMP TABLE changed_{table} (key text) ON COMMIT DROP")
    cursor.execute(
        f"WITH written AS (INSERT INTO {SCHEMA}.{table} AS t ({names}) SELECT {values} FROM stage_{table} "
        f"ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE ({old}) IS DISTINCT FROM ({new}) "
        f"RETURNING t.{key}) INSERT INTO changed_{table} SELECT {key} FROM written"
    )
    cursor.execute(f"INSERT INTO touched_programme {_touched_by(table)}")
    return _scalar(cursor, f"SELECT count(*) FROM changed_{table}")


def _touched_by(table: str) -> str:
    """SQL for the programmes of the changed rows, through whatever joins the table to a journey."""
    join = {
        "journey": "j.patient_journey_id = t.patient_journey_id",
        "journey_hcp": "j.hcp_id = t.hcp_id",
        "brand": "j.brand = t.brand",
    }[facts_of(TABLES[table]).partition_by]
    return (
        f"SELECT DISTINCT j.brand, j.indication FROM {SCHEMA}.{table} t "
        f"JOIN changed_{table} c ON c.key = t.{key_of(TABLES[table])} "
        f"JOIN {SCHEMA}.patient_journeys j ON {join}"
    )


def _remove_superseded(cursor: Any, load: Whole, order: Iterable[str]) -> dict[str, int]:
    """Delete the replaced source's journeys, and their rows, that the load no longer has."""
    removed = {}
    mine = f"SELECT patient_journey_id FROM {SCHEMA}.patient_journeys WHERE data_source = $1"
    for table in reversed([t for t in order if facts_of(TABLES[t]).partition_by == "journey"]):
        key = key_of(TABLES[table])
        gone = (
            f"FROM {SCHEMA}.{table} t WHERE t.patient_journey_id IN ({mine}) "
            f"AND NOT EXISTS (SELECT FROM stage_{table} s WHERE s.{key} = t.{key})"
        )
        cursor.execute(
            f"INSERT INTO touched_programme SELECT DISTINCT brand, indication FROM {SCHEMA}.patient_journeys "
            f"WHERE patient_journey_id IN (SELECT t.patient_journey_id {gone})",
            (load.replaces,),
        )
        removed[table] = _scalar(
            cursor, f"WITH gone AS (DELETE {gone} RETURNING 1) SELECT count(*) FROM gone", (load.replaces,)
        )
    return removed


def _record(
    cursor: Any,
    load: Whole,
    rows: Mapping[str, int],
    changed: Mapping[str, int],
    programmes: Iterable[str],
) -> int:
    payload = [json.dumps(part) for part in (rows, changed, list(programmes))]
    truth = json.dumps(load.truth) if load.truth is not None else None
    return _scalar(
        cursor,
        f"INSERT INTO {SCHEMA}.ml_load_batches (source, rows, changed, programmes, truth) "
        "VALUES ($1, $2::jsonb, $3::jsonb, $4::jsonb, $5::jsonb) RETURNING load_id",
        (load.source, *payload, truth),
    )


def _scalar(cursor: Any, sql: str, parameters: tuple[Any, ...] | None = None) -> int:
    cursor.execute(sql, parameters)
    return cursor.fetchone()[0]


def _references(tables: Iterable[str]) -> set[str]:
    return {c.references for table in tables for c in columns(TABLES[table]) if c.references}


def _keys(load: Whole, reference: str, stored_keys: Callable[[str], pl.Series]) -> pl.Series:
    table, name = reference.split(".")
    stored = stored_keys(reference)
    return pl.concat([load.tables[table].get_column(name), stored]) if table in load.tables else stored
