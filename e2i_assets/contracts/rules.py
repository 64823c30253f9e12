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

from e2i_assets.contracts.base import columns, facts_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Column

INDEXED_BYTES = 2_000
"""Longest text in an indexed column; PostgreSQL refuses index entries above 2,704 bytes."""
FIRST_DAY, LAST_DAY = dt.date(1, 1, 1), dt.date(9999, 12, 31)
"""Days that both Python and PostgreSQL can hold."""
EARLIEST = dt.date(1900, 1, 1)
"""No patient is observed before; an earlier day is a year of two digits, or a stand-in for none."""
AHEAD = dt.timedelta(days=1)
"""A day may be this far ahead of the time of its record in UTC: clocks of sources are in zones."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One condition that each row of a table must meet.

    Attributes:
        name: `null`, `allowed`, `low`, `high`, `not_finite`, `nul`, `too_long`, `day`, `json`, or
            `check:<name>` for a condition over several columns; of a day, `too_early` or `after_extract`.
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
    rules = [rule for c in columns(contract) for rule in _of_column(c)]
    for name, sql in facts_of(contract).checks.items():
        holds = pl.sql_expr(sql)
        needs = tuple(sorted(set(holds.meta.root_names())))
        rules.append(Rule(f"check:{name}", None, f"must hold: {sql}", ~holds, needs))
    return tuple(rules)


@cache
def date_rules(table: str) -> tuple[Rule, ...]:
    """What a day breaks that the calendar has and that cannot be, for quality control.

    A row with such a day can be stored; whether it may be used is judged with the rest of its partition.
    """
    contract = TABLES[table]
    dates = [c for c in columns(contract) if c.role == "time"]
    text = f"must be in the year {EARLIEST.year} or later"
    rules = [_rule(c, "too_early", text, pl.col(c.name).cast(pl.Date) < EARLIEST) for c in dates]
    if recorded := facts_of(contract).event_time:
        rules += [known_when_recorded(c.name, recorded) for c in dates]
    return tuple(rules)


def known_when_recorded(name: str, recorded: str) -> Rule:
    """What a source recorded on a day it cannot know of a later one: an open end (9999) is no observation."""
    seen = pl.col(recorded).dt.convert_time_zone("UTC").dt.date() + AHEAD
    text = f"must not be after the day of {recorded}, on which the source recorded the row"
    return Rule("after_extract", name, text, pl.col(name).cast(pl.Date) > seen, (name, recorded))


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
