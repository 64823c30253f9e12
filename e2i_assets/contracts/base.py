"""The vocabulary of a contract: a Pandera model whose fields also say role, availability and unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

import pandera.polars as pa
import polars as pl

from e2i_assets.contracts.variables import INDEX, Column, Role

UTC = Annotated[pl.Datetime, "us", "UTC"]
"""Type of a moment, in microseconds."""
PartitionRule = Literal["journey", "journey_hcp", "brand"]

PARTITION_KEYS: dict[PartitionRule, str] = {
    "journey": "patient_journey_id", "journey_hcp": "hcp_id", "brand": "brand",
}  # fmt: skip
"""Column by which a row finds the journeys of its partition."""


@dataclass(frozen=True)
class TableFacts:
    """What a contract says of the table as a whole (in the model's `Config.metadata`).

    Attributes:
        partition_by: how a brand and indication cuts the table: by its own journey key (`journey`), through
            the HCPs of its journeys (`journey_hcp`), or by brand (`brand`); None of a table that no partition
            has its rows of.
        dated_by: the date that a row is about, where it is about one.
        event_time, ingestion_time: columns from which timeliness is computed, where the table has both.
        checks: row conditions, name to SQL expression, each a CHECK of the warehouse and a rule of the
            schema layer (the expressions must read the same in PostgreSQL and in Polars SQL).
    """

    partition_by: PartitionRule | None = None
    dated_by: str | None = None
    event_time: str | None = None
    ingestion_time: str | None = None
    checks: dict[str, str] = field(default_factory=dict)


class Table(pa.DataFrameModel):
    """Base of every table contract; each says its `TableFacts` in `Config.metadata`."""

    class Config:
        """Every declared column must be there; a further column is a mistake, not an extension."""

        strict = True
        ordered = False


def column(
    description: str,
    *,
    role: Role,
    available_at: str = INDEX,
    key: bool = False,
    nullable: bool = False,
    unit: str | None = None,
    references: str | None = None,
    allowed: Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    unique: bool = False,
    json: bool = False,
    wanted_when: str | None = None,
) -> Any:
    """Declare a column: the Pandera field, and beside it what Pandera has no place for.

    Args:
        description: what the value means, for a person.
        role: what the column may be used for.
        available_at: `index`, `outcome`, or the date column from which on the value is known.
        references: `table.column` of the foreign key.
        json: the text is a JSON document (JSONB in the warehouse).
        wanted_when: SQL condition of the rows that can fill the column; other rows are not incomplete.
    """
    metadata = {
        "role": role, "available_at": available_at, "unit": unit, "references": references, "key": key,
        "allowed": tuple(allowed) if allowed else None, "low": low, "high": high, "json": json,
        "wanted_when": wanted_when,
    }  # fmt: skip
    return pa.Field(
        nullable=nullable,
        unique=unique or key,
        isin=list(allowed) if allowed else None,
        ge=low,
        le=high,
        description=description,
        metadata=metadata,
    )


@cache
def columns(table: type[Table]) -> tuple[Column, ...]:
    """The columns of a contract in their declared order."""
    declared_columns = []
    for name, declared in table.to_schema().columns.items():
        meta = dict(declared.metadata or {})
        declared_columns.append(
            Column(
                name=name,
                dtype=declared.dtype.type,
                nullable=declared.nullable,
                unique=declared.unique,
                description=declared.description or "",
                **meta,
            )
        )
    return tuple(declared_columns)


def key_of(table: type[Table]) -> str:
    """Name of the primary-key column."""
    return next(c.name for c in columns(table) if c.key)


def column_of(table: type[Table], name: str) -> Column:
    """One column by name; KeyError when the contract has none of that name."""
    for candidate in columns(table):
        if candidate.name == name:
            return candidate
    raise KeyError(f"{table.__name__} has no column {name!r}")


def facts_of(table: type[Table]) -> TableFacts:
    """What the contract says of the table as a whole."""
    return table.Config.metadata["facts"]  # type: ignore[attr-defined]


def partition_rule(table: type[Table]) -> PartitionRule:
    """How partitions cut a table.

    Raises:
        ValueError: no partition has rows of it.
    """
    if (rule := facts_of(table).partition_by) is None:
        raise ValueError(f"{table.__name__}: no partition has rows of it")
    return rule
