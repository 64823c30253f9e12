"""What the warehouse holds of each table, whole or of a partition: rows, rejected rows, dates, last load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from e2i_assets.contracts.base import PARTITION_KEYS, column_of, facts_of, key_of, partition_rule
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.json_files import to_json
from e2i_assets.warehouse import records
from e2i_assets.warehouse.ddl import SCHEMA


@dataclass(frozen=True)
class LastLoad:
    """The last committed load that had rows of a table or touched a partition."""

    load_id: int
    source: str
    committed_at: dt.datetime


@dataclass(frozen=True)
class TableStatus:
    """One table, whole or of one partition; in a total of several tables `table` is `all`.

    Attributes:
        rejected: rows that committed loads refused, all on record.
        first_date, last_date: of the dates that the rows are about; None when they have none.
        last_arrival: newest time of arrival; None when the table does not record it.
    """

    table: str
    rows: int
    rejected: int
    first_date: dt.date | None
    last_date: dt.date | None
    last_arrival: dt.datetime | None
    last_load: LastLoad | None

    def document(self, now: dt.datetime) -> dict[str, Any]:
        """As plain JSON types, with the ages in days of the newest date, arrival and load at `now`."""
        return to_json(self) | {
            "date_age_days": (now.date() - self.last_date).days if self.last_date else None,
            "arrival_age_days": (now - self.last_arrival).days if self.last_arrival else None,
            "load_age_days": (now - self.last_load.committed_at).days if self.last_load else None,
        }


def total(statuses: Iterable[TableStatus]) -> TableStatus:
    """All tables of a partition as one."""
    of = list(statuses)
    loads = [h.last_load for h in of if h.last_load]
    return TableStatus(
        table="all",
        rows=sum(h.rows for h in of),
        rejected=sum(h.rejected for h in of),
        first_date=min((h.first_date for h in of if h.first_date), default=None),
        last_date=max((h.last_date for h in of if h.last_date), default=None),
        last_arrival=max((h.last_arrival for h in of if h.last_arrival), default=None),
        last_load=max(loads, key=lambda load: load.load_id, default=None),
    )


def of_tables(connection: sa.Connection) -> list[TableStatus]:
    """Every table whole, in loading order."""
    return [
        _status(connection, name, None, _measured(connection, name), _rejected(connection, name))
        for name in TABLES
    ]


def of_partitions(
    connection: sa.Connection, partitions: Collection[PartitionKey]
) -> dict[PartitionKey, list[TableStatus]]:
    """Every table that partitions have rows of, cut as its extracts are; in loading order."""
    statuses: dict[PartitionKey, list[TableStatus]] = {partition: [] for partition in partitions}
    for name in RAW_TABLES:
        measured = _measured(connection, name, by_partition=True)
        rejected = _rejected(connection, name, by_partition=True)
        for partition in partitions:
            statuses[partition].append(_status(connection, name, partition, measured, rejected))
    return statuses


def of_extract(
    connection: sa.Connection, table: str, partition: PartitionKey, extract: pl.DataFrame
) -> TableStatus:
    """One table of one partition, rows and dates taken from its extract."""
    facts = facts_of(TABLES[table])
    days = extract.get_column(facts.dated_by).cast(pl.Date) if facts.dated_by else pl.Series(dtype=pl.Date)
    arrivals = (
        extract.get_column(facts.ingestion_time) if facts.ingestion_time else pl.Series(dtype=pl.Datetime)
    )
    measured: Any = (extract.height, days.min(), days.max(), arrivals.max())
    return _status(
        connection, table, partition, {partition: measured}, _rejected(connection, table, by_partition=True)
    )


def not_collected(connection: sa.Connection, partition: PartitionKey) -> dict[str, frozenset[str]]:
    """Columns by table that no source of a partition has, by the last load of each source."""
    loads = records.load_batches.c
    query = (
        sa.select(loads.source, loads.rows, loads.not_collected)
        .where(loads.status == "committed", loads.partitions.contains([partition.touched]))
        .order_by(loads.load_id)
    )
    absent: dict[str, dict[str, frozenset[str]]] = {}
    for source, rows, missing in connection.execute(query):
        for table in rows:
            absent.setdefault(table, {})[source] = frozenset(missing.get(table, ()))
    return {table: frozenset.intersection(*sources.values()) for table, sources in absent.items()}


def last_load(
    connection: sa.Connection, table: str | None = None, partition: PartitionKey | None = None
) -> LastLoad | None:
    """The last committed load that had rows of the table and touched the partition, where they are given."""
    loads = records.load_batches
    query = sa.select(loads.c.load_id, loads.c.source, loads.c.committed_at).where(
        loads.c.status == "committed"
    )
    if table:
        query = query.where(loads.c.rows.has_key(table))
    if partition:
        query = query.where(loads.c.partitions.contains([partition.touched]))
    row = connection.execute(query.order_by(loads.c.load_id.desc()).limit(1)).one_or_none()
    return LastLoad(row.load_id, row.source, row.committed_at.astimezone(dt.UTC)) if row else None


_Counts = Mapping[PartitionKey | None, int]
_Measures = Mapping[PartitionKey | None, tuple[int, dt.date | None, dt.date | None, dt.datetime | None]]


def _status(
    connection: sa.Connection,
    table: str,
    partition: PartitionKey | None,
    measured: _Measures,
    rejected: _Counts,
) -> TableStatus:
    rows, first, last, arrival = measured.get(partition, (0, None, None, None))
    load = last_load(connection, table, partition)
    return TableStatus(table, rows, rejected.get(partition, 0), first, last, arrival, load)


def _measured(connection: sa.Connection, table: str, *, by_partition: bool = False) -> _Measures:
    facts = facts_of(TABLES[table])
    day = "NULL::date"
    if facts.dated_by:
        timed = isinstance(column_of(TABLES[table], facts.dated_by).dtype, pl.Datetime)
        day = f"(t.{facts.dated_by} AT TIME ZONE 'UTC')::date" if timed else f"t.{facts.dated_by}"
    arrival = f"max(t.{facts.ingestion_time})" if facts.ingestion_time else "NULL::timestamptz"
    measures = f"count(*), min({day}), max({day}), {arrival}"
    if not by_partition:
        row = connection.execute(sa.text(f"SELECT {measures} FROM {SCHEMA}.{table} t")).one()
        return {None: tuple(row)}
    grouped = f"SELECT m.brand, m.indication, {measures} FROM {_members(table)} GROUP BY 1, 2"
    rows = connection.execute(sa.text(grouped))
    return {PartitionKey(brand, indication): tuple(rest) for brand, indication, *rest in rows}


def _members(table: str) -> str:
    """Rows `t` of a table, each with every partition `m` that has it."""
    if table == "patient_journeys":
        return f"(SELECT * FROM {SCHEMA}.{table}) t CROSS JOIN LATERAL (SELECT t.brand, t.indication) m"
    key = PARTITION_KEYS[partition_rule(TABLES[table])]
    # A journey's own key is unique; removing duplicates would sort every journey.
    once = "" if key == key_of(PatientJourneys) else "DISTINCT"
    journeys = f"SELECT {once} {key} AS cut, brand, indication FROM {SCHEMA}.patient_journeys"
    return f"{SCHEMA}.{table} t JOIN ({journeys}) m ON m.cut = t.{key}"


_REFUSED = f"""
SELECT r.table_name, r.content FROM {SCHEMA}.ml_rejected_rows r
JOIN {SCHEMA}.ml_load_batches l ON l.load_id = r.load_id AND l.status = 'committed'"""


def _rejected(connection: sa.Connection, table: str, *, by_partition: bool = False) -> _Counts:
    """Rejected rows, by partition as far as their content tells it."""
    refused = f"SELECT count(*) FROM ({_REFUSED}) r WHERE r.table_name = :table"
    count = connection.scalar(sa.text(refused), {"table": table})
    if not by_partition or not count:
        return {None: count}
    if table == "patient_journeys":
        partition, join = "r.content->>'brand', r.content->>'indication'", ""
    else:
        # Of a journey that was rejected itself, its rows are rejected too.
        key = PARTITION_KEYS[partition_rule(TABLES[table])]
        journeys = (
            f"SELECT {key} AS cut, brand, indication FROM {SCHEMA}.patient_journeys "
            f"WHERE {key} IN (SELECT content->>'{key}' FROM refused WHERE table_name = :table) "
            f"UNION SELECT content->>'{key}', content->>'brand', content->>'indication' "
            "FROM refused WHERE table_name = 'patient_journeys'"
        )
        partition, join = "m.brand, m.indication", f"JOIN ({journeys}) m ON m.cut = r.content->>'{key}'"
    query = (
        f"WITH refused AS ({_REFUSED}) SELECT {partition}, count(*) FROM refused r {join} "
        "WHERE r.table_name = :table GROUP BY 1, 2"
    )
    rows = connection.execute(sa.text(query), {"table": table})
    return {PartitionKey(brand, indication): count for brand, indication, count in rows}
