"""Which rows break a rule that quality control counts, by their keys: for whoever corrects the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.quality.plausibility import LifeDates, contradictions
from e2i_assets.quality.relations import judge_rows


@dataclass(frozen=True)
class BrokenRow:
    """One row, one rule that it breaks; `key` is of the table's key column."""

    table: str
    key: str
    column: str
    rule: str


def broken_rows(tables: Mapping[str, pl.DataFrame], dates: LifeDates) -> Iterator[BrokenRow]:
    """The rows of a partition's extracts whose days, references or combinations of columns cannot be.

    Args:
        tables: table name to extract; patient_journeys with its attributes as columns.
        dates: columns of patient_journeys that are index date, birth and death.
    """
    for name, frame in tables.items():
        keys = frame[key_of(TABLES[name])]
        for outcome in judge_rows(name, frame, tables):
            for key in keys.filter(outcome.broken):
                yield BrokenRow(name, key, outcome.column, outcome.rule)
    for one in contradictions(tables, dates):
        yield from (BrokenRow(one.table, key, one.column, one.rule) for key in one.keys)
