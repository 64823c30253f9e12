"""What a source hands to the loader: tables in memory, or parts that arrive one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

ROW = "_row"
"""Optional column of a part: the row's number in its origin, from 1. Without it rows are counted."""

REFUSED_SCHEMA = {"row": pl.Int64, "key": pl.String, "column": pl.String, "rule": pl.String,
                  "reason": pl.String, "content": pl.String}  # fmt: skip
"""Columns of `Part.refused`: row number, key where known, column, rule as a name (`wrong_type`), the rule in
words (no value of the row), and the source row as a JSON object in text."""


@dataclass(frozen=True)
class Part:
    """Some rows of a table, in the source's order.

    Attributes:
        frame: the contract's columns in its types, and `ROW` where rows have numbers of their own.
        refused: rows that the source could not turn into the contract's types, as `REFUSED_SCHEMA`; they are
            rejected and count among the rows given.
        origin: the file that they come from, where a table has several.
    """

    frame: pl.DataFrame
    refused: pl.DataFrame | None = None
    origin: str | None = None


Rows = pl.DataFrame | Iterable[pl.DataFrame | Part]
"""A table of a load. An iterable is read once, part by part, so it may be larger than memory."""


@dataclass(frozen=True)
class Load:
    """What is to be loaded.

    Attributes:
        tables: table name to rows, any subset of the contracts.
        source: where the rows come from, for the record.
        origins: table name to the file it was read from, for error messages.
        replaces: `data_source` whose journeys this load supersedes: those that it no longer has are removed.
        truth: declared truth of generated data.
    """

    tables: Mapping[str, Rows]
    source: str
    origins: Mapping[str, str] = field(default_factory=dict)
    replaces: str | None = None
    truth: Mapping[str, Any] | None = None

    def origin(self, table: str) -> str:
        """The file or generator that a table came from."""
        return self.origins.get(table, self.source)

    @property
    def size(self) -> int | None:
        """Rows of all tables; None when a table is not in memory."""
        rows = list(self.tables.values())
        frames = [r for r in rows if isinstance(r, pl.DataFrame)]
        return sum(frame.height for frame in frames) if len(frames) == len(rows) else None

    def parts(self, table: str) -> Iterator[Part]:
        """The table's rows, part by part."""
        rows = self.tables[table]
        for part in [rows] if isinstance(rows, pl.DataFrame) else rows:
            yield part if isinstance(part, Part) else Part(part)
