"""Remove a source from the warehouse: its rows, what hangs on them, and its rejected rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from e2i_assets.contracts.base import columns, facts_of, key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.errors import E2IError
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.publish import link, touch
from e2i_assets.warehouse.transactions import Transactions

OWNERS = [table for table, contract in TABLES.items() if "data_source" in {c.name for c in columns(contract)}]
"""Tables whose rows name their source; what hangs on a journey is of its source."""


class NoSuchSource(E2IError, ValueError):
    """No row is of that source; the message lists the sources that there are."""

    code = "no_such_source"
    next_step = "Name one of the sources that there are."


@dataclass(frozen=True)
class Removal:
    """What goes with a source.

    Attributes:
        source: its name, as in `data_source`.
        load_id: number of the load that records it; None where nothing was removed.
        rows: rows that go, by table.
        kept: its rows that stay, by table, because rows of other sources refer to them.
        rejected: rows of its loads that go from `ml_rejected_rows`.
        partitions: brand/indication pairs that lose rows.
    """

    source: str
    load_id: int | None
    rows: dict[str, int]
    kept: dict[str, int]
    rejected: int
    partitions: tuple[str, ...]


def remove(connect: Callable[[], Any], source: str, *, commit: bool) -> Removal:
    """Remove a source in one transaction; with `commit=False` only find out what would go.

    It is recorded as a load that touches the partitions, so that their partitions are due.

    Raises:
        NoSuchSource: nothing is of that source.
        DatabaseRefused: the database did not take it, or does not answer.
    """

    def work(cursor: Any) -> Removal:
        return _remove(cursor, source, commit)

    with Transactions(connect) as transactions:
        return transactions.run(f"source {source} cannot be removed", work, commit=commit)


def _remove(cursor: Any, source: str, commit: bool) -> Removal:
    _require(cursor, source)
    touched: set[str] = set()
    rows, remaining = {}, {}
    for table in reversed(list(TABLES)):
        mine = _mine(table)
        gone = f"FROM {SCHEMA}.{table} t WHERE {mine}{_unused(table)}"
        touch(cursor, table, f"SELECT t.{link(table)} {gone}", touched, (source,))
        owned = _count(cursor, f"SELECT count(*) FROM {SCHEMA}.{table} t WHERE {mine}", source)
        rows[table] = _count(
            cursor, f"WITH gone AS (DELETE {gone} RETURNING 1) SELECT count(*) FROM gone", source
        )
        remaining[table] = owned - rows[table]
    loads = f"SELECT load_id FROM {SCHEMA}.ml_load_batches WHERE source = $1"
    rejected = _count(
        cursor,
        f"WITH gone AS (DELETE FROM {SCHEMA}.ml_rejected_rows WHERE load_id IN ({loads}) RETURNING 1) "
        "SELECT count(*) FROM gone",
        source,
    )
    partitions = tuple(sorted(touched))
    removal = Removal(source, None, _some(rows), _some(remaining), rejected, partitions)
    return _recorded(cursor, removal) if commit else removal


def _require(cursor: Any, source: str) -> None:
    names = " UNION ".join(f"SELECT data_source FROM {SCHEMA}.{table}" for table in OWNERS)
    cursor.execute(f"SELECT data_source FROM ({names}) found WHERE data_source IS NOT NULL ORDER BY 1")
    sources = [name for (name,) in cursor.fetchall()]
    if source not in sources:
        raise NoSuchSource(f"no rows of source {source!r}; there are {', '.join(sources) or 'none'}")


def _mine(table: str) -> str:
    if facts_of(TABLES[table]).partition_by == "journey":
        journeys = f"SELECT patient_journey_id FROM {SCHEMA}.patient_journeys WHERE data_source = $1"
        return f"t.patient_journey_id IN ({journeys})"
    return "t.data_source = $1"


def _unused(table: str) -> str:
    """SQL: no row of another source refers to it; children are removed before."""
    key = key_of(TABLES[table])
    used = [
        f" AND NOT EXISTS (SELECT FROM {SCHEMA}.{other} r WHERE r.{c.name} = t.{key})"
        for other, contract in TABLES.items()
        for c in columns(contract)
        if c.references == f"{table}.{key}" and table != "patient_journeys"
    ]
    return "".join(used)


def _recorded(cursor: Any, removal: Removal) -> Removal:
    cursor.execute(
        f"INSERT INTO {SCHEMA}.ml_load_batches (source, fingerprint, status, committed_at, rows, changed, "
        "rejected, partitions) VALUES ($1, $2, 'committed', now(), '{}', $3::jsonb, '{}', $4::jsonb) "
        "RETURNING load_id",
        (
            removal.source,
            hashlib.sha256(f"removal of {removal.source}".encode()).hexdigest(),
            json.dumps(removal.rows),
            json.dumps(list(removal.partitions)),
        ),
    )
    return Removal(**{**vars(removal), "load_id": cursor.fetchone()[0]})


def _some(counts: dict[str, int]) -> dict[str, int]:
    return {table: counts[table] for table in TABLES if counts[table]}


def _count(cursor: Any, sql: str, source: str) -> int:
    cursor.execute(sql, (source,))
    return cursor.fetchone()[0]
