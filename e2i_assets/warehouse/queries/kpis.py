"""What indicators ask: what the database has, and what their statements come to. Nothing is written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.kpis.catalogue import Catalogue, Relation
from e2i_assets.kpis.file import KpiGroup
from e2i_assets.kpis.kpi import Kpi
from e2i_assets.kpis.report import Answer, KpiReport, build_report, to_ask
from e2i_assets.warehouse.ddl import SCHEMA

if TYPE_CHECKING:
    from e2i_assets.contracts.partition_key import PartitionKey
    from e2i_assets.warehouse.warehouse import Warehouse

TIMEOUT_S = 60
"""Longest that one statement may take."""
KINDS = {"r": "table", "p": "table", "f": "table", "v": "view", "m": "materialized view"}

_RELATIONS = sa.text("""
SELECT c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind = ANY(:kinds) AND a.attnum > 0
      AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY c.relname, a.attnum""")


def measure_kpis(
    warehouse: Warehouse,
    groups: Sequence[KpiGroup],
    partition: str,
    key: PartitionKey,
    today: dt.date,
    cells: Cells = EXACT,
) -> KpiReport:
    """How the indicators of a partition stand at this moment.

    Raises:
        WarehouseUnavailable: the database cannot be reached, or is lost on the way.
    """
    with _reading_only(warehouse) as connection:
        catalogue = _live_catalogue(connection, [kpi for group in groups for kpi in group.kpis])
        values = {"partition": partition, "brand": key.brand, "indication": key.indication, "today": today}
        answers = {kpi.id: _ask(connection, kpi, values) for kpi in to_ask(groups, catalogue, partition)}
    return build_report(partition, today, groups, catalogue, answers, cells)


@contextmanager
def _reading_only(warehouse: Warehouse) -> Iterator[sa.Connection]:
    """A transaction that sees one moment, can write nothing, and ends a statement that takes too long."""
    with warehouse.reading() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with snapshot.begin():
            snapshot.execute(sa.text(f"SET LOCAL statement_timeout = '{TIMEOUT_S}s'"))
            yield snapshot


def _live_catalogue(connection: sa.Connection, kpis: Sequence[Kpi]) -> Catalogue:
    """The tables and views that the indicators ask for and this role may read, as they are now."""
    rows = connection.execute(_RELATIONS, {"schema": SCHEMA, "kinds": list(KINDS)})
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for name, kind, column, dtype in rows:
        columns.setdefault((name, kind), {})[column] = dtype
    asked = {table for kpi in kpis for table in kpi.columns}
    return {
        name: Relation(KINDS[kind], of, _has_rows(connection, name))
        for (name, kind), of in columns.items()
        if name in asked
    }


def _has_rows(connection: sa.Connection, name: str) -> bool | None:
    """Whether there are any; None of a view that cannot be asked, which is told by what asks it."""
    rows = sa.select(sa.literal(1)).select_from(sa.table(name, schema=SCHEMA))
    try:
        with connection.begin_nested():
            return bool(connection.scalar(sa.select(sa.exists(rows))))
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None


def _ask(connection: sa.Connection, kpi: Kpi, values: dict[str, Any]) -> Answer:
    from e2i_assets.kpis.statement import read_statement

    statement = read_statement(str(kpi.sql), kpi.columns)
    try:
        with connection.begin_nested():
            rows = connection.exec_driver_sql(
                statement.sql, {name: values[name] for name in statement.parameters}
            ).all()
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return _failed(error)
    if len(rows) != 1:
        return Answer(failure=f"its statement gives {len(rows)} rows instead of one")
    value, count = rows[0]
    if not _is_number(value) or not _is_number(count):
        return Answer(failure="its statement gives something else than numbers")
    return Answer(None if value is None else float(value), int(count or 0))


def _is_number(value: Any) -> bool:
    from decimal import Decimal

    return value is None or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def _failed(error: sa.exc.DBAPIError) -> Answer:
    """Why a statement failed, by the name of its SQLSTATE: the server's own words may quote a value."""
    from psycopg import errors

    cause = error.orig
    if isinstance(cause, errors.DivisionByZero):
        return Answer(None, 1)
    if isinstance(cause, errors.QueryCanceled):
        return Answer(failure=f"its statement took longer than {TIMEOUT_S} s")
    return Answer(failure=f"its statement was refused: {type(cause).__name__}")
