"""Contracts as SQLAlchemy tables: the one place where a contract becomes DDL."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from e2i_assets.contracts.base import Table, columns, facts_of
from e2i_assets.contracts.rejected import REJECTED_ROW, RejectedColumn
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Column

SCHEMA = "e2i"


def data_tables(metadata: sa.MetaData) -> dict[str, sa.Table]:
    """Declare the data tables on `metadata`, with keys, foreign keys and CHECKs; parents first."""
    return {name: _table(name, contract, metadata) for name, contract in TABLES.items()}


def rejected_columns() -> list[sa.Column]:
    """Columns of a rejected row, as it is kept."""
    return [sa.Column(c.name, sql_type(c), nullable=c.nullable, comment=c.meaning) for c in REJECTED_ROW]


def _table(name: str, contract: type[Table], metadata: sa.MetaData) -> sa.Table:
    described = columns(contract)
    checks = [check for c in described for check in _checks(name, c)]
    checks += [
        sa.CheckConstraint(condition, name=f"{name}_{rule}")
        for rule, condition in facts_of(contract).checks.items()
    ]
    return sa.Table(
        name,
        metadata,
        *[_column(name, c) for c in described],
        *checks,
        schema=SCHEMA,
        comment=contract.__doc__,
    )


def _column(table: str, c: Column) -> sa.Column:
    keys = [sa.ForeignKey(f"{SCHEMA}.{c.references}", ondelete="CASCADE")] if c.references else []
    return sa.Column(
        c.name,
        sql_type(c),
        *keys,
        primary_key=c.key,
        nullable=c.nullable,
        unique=c.unique and not c.key,
        # A foreign key without an index makes each delete of a parent scan the child.
        index=bool(c.references),
        comment=c.meaning,
    )


def sql_type(c: Column | RejectedColumn) -> sa.types.TypeEngine:
    """SQL type of a contract column; ValueError for a dtype that no rule covers."""
    if c.json:
        return JSONB()
    if isinstance(c.dtype, pl.Datetime):
        return sa.TIMESTAMP(timezone=c.dtype.time_zone is not None)
    simple: dict[type[pl.DataType], sa.types.TypeEngine] = {
        pl.String: sa.Text(),
        pl.Int64: sa.BigInteger(),
        pl.Float64: sa.Double(),
        pl.Boolean: sa.Boolean(),
        pl.Date: sa.Date(),
    }
    for dtype, sql in simple.items():
        if c.dtype == dtype:
            return sql
    raise ValueError(f"column {c.name}: no SQL type for {c.dtype}")


def _checks(table: str, c: Column) -> list[sa.CheckConstraint]:
    rules = {
        "allowed": c.allowed and f"{c.name} IN ({', '.join(_quoted(v) for v in c.allowed)})",
        "low": c.low is not None and f"{c.name} >= {c.low}",
        "high": c.high is not None and f"{c.name} <= {c.high}",
    }
    return [sa.CheckConstraint(sql, name=f"{table}_{c.name}_{rule}") for rule, sql in rules.items() if sql]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
