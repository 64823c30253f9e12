"""The rules that a contract sets for single rows, as Polars expressions built once for each table.

Rules between rows (unique keys, references) need the other rows and live where those are.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import polars as pl

from e2i_assets.contracts.base import Column, columns, facts_of
from e2i_assets.contracts.tables import TABLES

INDEXED_BYTES = 2_000
"""Longest text in an indexed column; PostgreSQL refuses index entries above 2,704 bytes."""
FIRST_DAY, LAST_DAY = dt.date(1, 1, 1), dt.date(9999, 12, 31)
"""Days that both Python and PostgreSQL can hold."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One condition that each row of a table must meet.

    Attributes:
        name: `null`, `allowed`, `low`, `high`, `not_finite`, `nul`, `too_long`, `day`, `json` or
            `check:<name>` for a condition over several columns.
        column: the column to look at; None for a condition over several.
        text: what must hold, for a person.
        broken: True in each row that breaks the rule. A null breaks only `null`; the expression may give
            null for it.
        needs: columns that the rule reads.
    """

    name: str
    column: str | None
    text: str
    broken: pl.Expr
    needs: tuple[str, ...]


@cache
def row_rules(table: str) -> tuple[Rule, ...]:
    """The rules of a table's contract, in the order of its columns; KeyError for an unknown table."""
    contract = TABLES[table]
    found = [rule for c in columns(contract) for rule in _of_column(c)]
    for name, sql in facts_of(contract).checks.items():
        holds = pl.sql_expr(sql)
        needs = tuple(sorted(set(holds.meta.root_names())))
        found.append(Rule(f"check:{name}", None, f"must hold: {sql}", ~holds, needs))
    return tuple(found)


def _rule(c: Column, name: str, text: str, broken: pl.Expr) -> Rule:
    return Rule(name, c.name, text, broken, (c.name,))


def _of_column(c: Column) -> Iterator[Rule]:
    """What the contract declares, then what the warehouse can hold."""
    value = pl.col(c.name)
    if not c.nullable:
        yield _rule(c, "null", "must not be empty", value.is_null())
    if c.allowed:
        yield _rule(c, "allowed", f"must be one of {', '.join(c.allowed)}", ~value.is_in(list(c.allowed)))
    if c.low is not None:
        yield _rule(c, "low", f"must be at least {c.low:g}", value < c.low)
    if c.high is not None:
        yield _rule(c, "high", f"must be at most {c.high:g}", value > c.high)
    yield from _storable(c, value)


def _storable(c: Column, value: pl.Expr) -> Iterator[Rule]:
    if c.dtype == pl.Float64:
        yield _rule(c, "not_finite", "must be a finite number", ~value.is_finite())
    if c.dtype == pl.String and not c.allowed:
        yield _rule(c, "nul", "must not hold a NUL character", value.str.contains("\0", literal=True))
    if c.key or c.unique or c.references:
        long = value.str.len_bytes() > INDEXED_BYTES
        yield _rule(c, "too_long", f"must be at most {INDEXED_BYTES:,} bytes", long)
    if c.dtype == pl.Date or isinstance(c.dtype, pl.Datetime):
        day = value.cast(pl.Date)
        yield _rule(c, "day", "must be in the years 1 to 9999", (day < FIRST_DAY) | (day > LAST_DAY))
    if c.json:
        yield _rule(
            c, "json", "must be a JSON object", value.map_batches(_no_object, return_dtype=pl.Boolean)
        )


def _no_object(documents: pl.Series) -> pl.Series:
    broken = [document is not None and not _is_object(document) for document in documents]
    return pl.Series(documents.name, broken, dtype=pl.Boolean)


def _is_object(document: str) -> bool:
    """Whether PostgreSQL's JSONB takes the text, and it is an object."""
    try:
        parsed = json.loads(document, parse_constant=_refuse)
        # JSONB knows neither NUL characters nor halves of surrogate pairs.
        if r"\u" in document:
            json.dumps(parsed, ensure_ascii=False).encode()
            return isinstance(parsed, dict) and not _holds_nul(parsed)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value
