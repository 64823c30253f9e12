"""The shape of a rejected row, for all who refuse one, stage it and keep it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class RejectedColumn:
    """One fact about a rejected row; `json` is text that holds JSON."""

    name: str
    dtype: pl.DataType
    nullable: bool = False
    meaning: str | None = None
    json: bool = False


REJECTED_ROW = (
    RejectedColumn("table_name", pl.String()),
    RejectedColumn("origin", pl.String(), meaning="file or generator that the row came from"),
    RejectedColumn(
        "row_number", pl.Int64(), nullable=True, meaning="number of the row in its origin, from 1"
    ),
    RejectedColumn("key", pl.String(), nullable=True, meaning="primary key of the row, where it has one"),
    RejectedColumn(
        "column_name",
        pl.String(),
        nullable=True,
        meaning="column that breaks the rule; empty for a condition over several",
    ),
    RejectedColumn("rule", pl.String()),
    RejectedColumn("reason", pl.String(), meaning="the rule in words"),
    RejectedColumn("content", pl.String(), meaning="the row as it was given: patient data", json=True),
)
"""`rule` is a name (`wrong_type`); `reason` has no value of the row."""
PLACE = ("table_name", "origin")
"""What is said once for rows that are refused together."""
REJECTED_SCHEMA = {c.name: c.dtype for c in REJECTED_ROW if c.name not in PLACE}
"""Columns of a frame of rejected rows of one table and origin."""
