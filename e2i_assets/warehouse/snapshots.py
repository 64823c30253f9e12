"""What the warehouse held of one partition at one moment: its last load and its extracts, seen together.

One repeatable-read transaction of PostgreSQL, exported so that Arrow extracts and records read the same one.
What commits meanwhile is not in it, whichever table is read last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from e2i_assets.contracts.base import columns, key_of, partition_rule
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.tables import TABLES
from e2i_assets.warehouse import records, table_status
from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.table_status import TableStatus


@dataclass(frozen=True)
class Extract:
    """One table of one partition.

    Attributes:
        frame: its rows, ordered by key, with the contract's columns and types.
        snapshot: which transactions it sees (`pg_current_snapshot()`), asked in the transaction that read the
            rows: extracts with the same one saw the same database.
        status: its counts, dates and last load.
    """

    frame: pl.DataFrame
    snapshot: str
    status: TableStatus


class Snapshot:
    """One partition at one moment; `loads` are the numbers of all committed loads that touched it."""

    def __init__(self, connection: sa.Connection, cursor: Any, brand: str, indication: str) -> None:
        self._connection, self._cursor = connection, cursor
        self._partition = PartitionKey(brand, indication)
        self.loads = _loads(connection, self._partition)

    @property
    def load(self) -> int | None:
        """The last committed load that touched it; None when none did."""
        return self.loads[-1] if self.loads else None

    def extract(self, table: str) -> Extract:
        """One table that partitions have rows of, as it is in the snapshot."""
        journeys = f"FROM {SCHEMA}.patient_journeys j WHERE j.brand = $1 AND j.indication = $2"
        where = {
            "journey": f"t.patient_journey_id IN (SELECT j.patient_journey_id {journeys})",
            "journey_hcp": f"t.hcp_id IN (SELECT j.hcp_id {journeys})",
            "brand": f"t.brand = $1 AND EXISTS (SELECT {journeys})",
        }[partition_rule(TABLES[table])]
        frame = rows(self._cursor, table, f"WHERE {where}", self._partition)
        self._cursor.execute("SELECT pg_current_snapshot()::text")
        (identity,) = self._cursor.fetchone()
        status = table_status.of_extract(self._connection, table, self._partition, frame)
        return Extract(frame, identity, status)


@contextmanager
def taken(engine: sa.Engine, connect: Callable[[], Any], brand: str, indication: str) -> Iterator[Snapshot]:
    """Take a snapshot and keep it for the block; `connect` opens an ADBC connection in a transaction."""
    with (
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        connect() as bulk,
        bulk.cursor() as cursor,
    ):
        exported = connection.scalar(sa.select(sa.func.pg_export_snapshot()))
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET TRANSACTION SNAPSHOT '{exported}'")
        yield Snapshot(connection, cursor, brand, indication)


def rows(cursor: Any, table: str, where: str = "", parameters: tuple[Any, ...] | None = None) -> pl.DataFrame:
    """Rows of a table, ordered by key, with the contract's columns and types."""
    contract = TABLES[table]
    names = ", ".join(f"t.{c.name}::text AS {c.name}" if c.json else f"t.{c.name}" for c in columns(contract))
    # The C collation orders keys the same on every server.
    order = f'ORDER BY t.{key_of(contract)} COLLATE "C"'
    cursor.execute(f"SELECT {names} FROM {SCHEMA}.{table} t {where} {order}", parameters)
    frame = pl.DataFrame(cursor.fetch_arrow_table())
    return frame.cast({c.name: c.dtype for c in columns(contract)})


def watermark(connection: sa.Connection, brand: str, indication: str) -> int | None:
    """Number of the last committed load that touched a partition; None when none did."""
    loads, touched = records.load_batches.c, PartitionKey(brand, indication).touched
    return connection.scalar(
        sa.select(sa.func.max(loads.load_id)).where(loads.partitions.contains([touched]))
    )


def _loads(connection: sa.Connection, partition: PartitionKey) -> tuple[int, ...]:
    loads = records.load_batches.c
    of_partition = sa.select(loads.load_id).where(loads.partitions.contains([partition.touched]))
    return tuple(connection.scalars(of_partition.order_by(loads.load_id)))
