"""Make a staged load visible: merged by primary key, all tables in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2i_assets.contracts.base import PARTITION_KEYS, columns, facts_of, key_of
from e2i_assets.contracts.rejected import REJECTED_ROW
from e2i_assets.contracts.tables import TABLES
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.staging import WORK_MEM, WRITE, Staging

MANY = 10_000
"""Rows from which on foreign keys and indexes may be rebuilt."""
FEW = 1_000
"""Rows that are asked for their partitions before all are."""


def prepare(cursor: Any) -> None:
    """Give the transaction room to work in."""
    cursor.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")


def merge(cursor: Any, staging: Staging, table: str, staged_rows: int, touched: set[str]) -> int:
    """Insert new rows and update rows that differ; returns how many of the `staged_rows` these are.

    Args:
        touched: is given the partitions of these rows, as brand/indication.
    """
    key, staged = key_of(TABLES[table]), f"{staging.name}.{table}"
    matched = f"{staged} s JOIN {SCHEMA}.{table} t ON t.{key} = s.{key}"
    if not _count(cursor, f"SELECT count(*) FROM {matched}"):
        if staged_rows:
            _insert(cursor, table, f"{staged} s", staged_rows)
            touch(cursor, table, f"SELECT s.{link(table)} FROM {staged} s", touched)
        return staged_rows
    # A row that merely arrived again has not changed.
    arrival = facts_of(TABLES[table]).ingestion_time
    compared = [c for c in columns(TABLES[table]) if c.name != arrival and not c.key]
    old = ", ".join(f"t.{c.name}" for c in compared)
    new = ", ".join(_value(c) for c in compared)
    cursor.execute(
        f"CREATE TEMP TABLE changed_{table} ON COMMIT DROP AS "
        f"SELECT s.{key} AS key, s.{link(table)} AS link, t.{key} IS NOT NULL AS known "
        f"FROM {staged} s LEFT JOIN {SCHEMA}.{table} t ON t.{key} = s.{key} "
        f"WHERE t.{key} IS NULL OR ({old}) IS DISTINCT FROM ({new})"
    )
    cursor.execute(f"ANALYZE changed_{table}")
    updated = _count(cursor, f"SELECT count(*) FROM changed_{table} WHERE known")
    added = _count(cursor, f"SELECT count(*) FROM changed_{table} WHERE NOT known")
    if updated:
        _update(cursor, table, staged, touched)
    if added:
        # Not an anti join with the table itself: that may scan all that it has just inserted.
        rows = f"{staged} s JOIN changed_{table} c ON c.key = s.{key} AND NOT c.known"
        _insert(cursor, table, rows, added)
    touch(cursor, table, f"SELECT link FROM changed_{table}", touched)
    return updated + added


def _update(cursor: Any, table: str, staged: str, touched: set[str]) -> None:
    """Update the rows that differ; `touched` is given the partitions that rows leave by that."""
    key = key_of(TABLES[table])
    leaves = f"{SCHEMA}.{table} t JOIN changed_{table} c ON c.key = t.{key} AND c.known"
    touch(cursor, table, f"SELECT t.{link(table)} FROM {leaves}", touched)
    updates = ", ".join(f"{c.name} = {_value(c)}" for c in columns(TABLES[table]) if not c.key)
    cursor.execute(
        f"UPDATE {SCHEMA}.{table} t SET {updates} "
        f"FROM {staged} s JOIN changed_{table} c ON c.key = s.{key} WHERE c.known AND t.{key} = s.{key}"
    )


def _insert(cursor: Any, table: str, rows: str, added: int) -> None:
    names = ", ".join(c.name for c in columns(TABLES[table]))
    values = ", ".join(_value(c) for c in columns(TABLES[table]))
    with _rebuilt(cursor, table, added):
        cursor.execute(f"INSERT INTO {SCHEMA}.{table} ({names}) SELECT {values} FROM {rows}")


@contextmanager
def _rebuilt(cursor: Any, table: str, added: int) -> Iterator[None]:
    """Where many rows meet few, keys and indexes that nothing refers to are made anew, over all rows at once:
    row by row they cost ten times as much. Readers of the table wait for the transaction then. Only the owner
    of a table may do that.
    """
    place = f"{SCHEMA}.{table}"
    few = f"NOT EXISTS (SELECT FROM {place} OFFSET {added})"
    mine = f"(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = '{place}'::regclass)"
    if added < MANY or not _count(cursor, f"SELECT ({few} AND {mine})::int"):
        yield
        return
    cursor.execute(
        f"SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint k "
        f"WHERE conrelid = '{place}'::regclass AND (contype = 'f' OR contype = 'p' AND NOT EXISTS "
        f"(SELECT FROM pg_constraint WHERE confrelid = '{place}'::regclass) AND NOT EXISTS "
        # A view that groups by the key.
        "(SELECT FROM pg_depend WHERE refclassid = 'pg_constraint'::regclass AND refobjid = k.oid "
        "AND deptype = 'n')) ORDER BY contype"
    )
    keys = cursor.fetchall()
    cursor.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i "
        f"WHERE indrelid = '{place}'::regclass AND NOT EXISTS "
        "(SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid)"
    )
    indexes = cursor.fetchall()
    for name, _ in keys:
        cursor.execute(f'ALTER TABLE {place} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    free = f"NOT EXISTS (SELECT FROM pg_constraint WHERE confrelid = '{place}'::regclass)"
    if _count(cursor, f"SELECT (pg_relation_size('{place}') = 0 AND {free})::int"):
        # A file that the transaction itself began is not logged row by row, unless the log serves replicas.
        cursor.execute(f"TRUNCATE {place}")
    yield
    for _, definition in indexes:
        cursor.execute(definition)
    for name, definition in reversed(keys):
        cursor.execute(f'ALTER TABLE {place} ADD CONSTRAINT "{name}" {definition}')


def _value(c: Any) -> str:
    return f"s.{c.name}::jsonb" if c.json else f"s.{c.name}"


def link(table: str) -> str:
    """The column that joins a table to the journeys, and so to partitions; of a table without any its key."""
    rule = facts_of(TABLES[table]).partition_by
    return PARTITION_KEYS[rule] if rule else key_of(TABLES[table])


def touch(cursor: Any, table: str, links: str, touched: set[str], parameters: tuple[Any, ...] = ()) -> None:
    """Add the partitions of the journeys with these links to `touched`, as brand/indication.

    As a rule a few rows or an earlier table tell them all, and there is no other partition to be looked for.
    A table that no partition has rows of touches none.
    """
    if facts_of(TABLES[table]).partition_by is None:
        return
    partition = "brand || '/' || indication"
    other = f"{partition} NOT IN (SELECT jsonb_array_elements_text(${len(parameters) + 1}::jsonb))"
    for some in (f"{links} LIMIT {FEW}", links):
        cursor.execute(
            f"SELECT DISTINCT {partition} FROM {SCHEMA}.patient_journeys WHERE {other} AND EXISTS "
            f"(SELECT FROM {SCHEMA}.patient_journeys WHERE {other}) AND {link(table)} IN ({some})",
            (*parameters, json.dumps(sorted(touched))),
        )
        touched |= {partition_name for (partition_name,) in cursor.fetchall()}


def remove_superseded(cursor: Any, staging: Staging, touched: set[str]) -> dict[str, int]:
    """Delete the replaced source's journeys, and their rows, that the load no longer has; before merging.

    A row that was rejected is still had, and its last good version stays, if the load keeps such.

    Args:
        touched: is given the partitions that lose rows, as brand/indication.

    Returns:
        Rows removed, by table.
    """
    mine = f"SELECT patient_journey_id FROM {SCHEMA}.patient_journeys WHERE data_source = $1"
    return {
        table: _remove(cursor, staging, table, f"t.patient_journey_id IN ({mine})", touched)
        for table in reversed(staging.tables)
        if facts_of(TABLES[table]).partition_by == "journey"
    }


def remove_unused(cursor: Any, staging: Staging, touched: set[str]) -> dict[str, int]:
    """The same for rows that hang on no journey; after the merge, which points other rows elsewhere. What
    another source's rows refer to stays.
    """
    removed = {}
    # What refers to a row goes before it.
    for table in reversed([t for t in staging.tables if facts_of(TABLES[t]).partition_by != "journey"]):
        key = key_of(TABLES[table])
        unused = [
            f"NOT EXISTS (SELECT FROM {SCHEMA}.{other} r WHERE r.{c.name} = t.{key})"
            for other, contract in TABLES.items()
            for c in columns(contract)
            if c.references == f"{table}.{key}"
        ]
        mine = " AND ".join(["t.data_source = $1", *unused])
        removed[table] = _remove(cursor, staging, table, mine, touched)
    return removed


def _remove(cursor: Any, staging: Staging, table: str, mine: str, touched: set[str]) -> int:
    """Delete those of the rows `mine` that the load no longer has; returns how many."""
    key = key_of(TABLES[table])
    gone = (
        f"FROM {SCHEMA}.{table} t WHERE {mine} "
        f"AND NOT EXISTS (SELECT FROM {staging.name}.{table} s WHERE s.{key} = t.{key}) "
        f"AND NOT {staging.stays(table, 't')}"
    )
    touch(cursor, table, f"SELECT t.{link(table)} {gone}", touched, (staging.replaces,))
    return _count(
        cursor, f"WITH gone AS (DELETE {gone} RETURNING 1) SELECT count(*) FROM gone", (staging.replaces,)
    )


def keep_rejected(cursor: Any, staging: Staging, load_id: int) -> None:
    """Move the rejected rows of the load to their table."""
    names = ", ".join(c.name for c in REJECTED_ROW)
    staged = ", ".join(f"{c.name}::jsonb" if c.json else c.name for c in REJECTED_ROW)
    cursor.execute(
        f"INSERT INTO {SCHEMA}.ml_rejected_rows (load_id, {names}) "
        f"SELECT {load_id}, {staged} FROM {staging.name}.rejected "
        f"ORDER BY table_name, {WRITE}, row_number"
    )


def rejects_as_before(cursor: Any, staging: Staging, load_id: int) -> bool:
    """Whether the last committed load from this source rejected the very same rows."""
    compared = ", ".join(c.name for c in REJECTED_ROW if c.name not in ("reason", "content"))
    before = (
        f"SELECT max(load_id) FROM {SCHEMA}.ml_load_batches WHERE status = 'committed' AND source = "
        f"(SELECT source FROM {SCHEMA}.ml_load_batches WHERE load_id = {load_id})"
    )
    new = (
        f"SELECT {compared}, content::jsonb - 'ingestion_timestamp' FROM {staging.name}.rejected "
        f"EXCEPT ALL SELECT {compared}, content - 'ingestion_timestamp' FROM {SCHEMA}.ml_rejected_rows "
        f"WHERE load_id = ({before})"
    )
    return _count(cursor, f"SELECT count(*) FROM ({new}) unheard") == 0


def _count(cursor: Any, sql: str, parameters: tuple[Any, ...] | None = None) -> int:
    cursor.execute(sql, parameters)
    return cursor.fetchone()[0]
