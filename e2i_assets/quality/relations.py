"""Rules between columns of a row and between tables: foreign keys, table checks, days that cannot be.

The schema layer blocks on them and the consistency dimension grades them, so they are stated once, here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from e2i_assets.contracts.base import TableFacts, columns, facts_of
from e2i_assets.contracts.rules import date_rules, row_rules
from e2i_assets.contracts.tables import TABLES

JOURNEYS = "patient_journeys"


@dataclass(frozen=True)
class RuleOutcome:
    """What one rule found in one table.

    Attributes:
        column: the column to look at; the table's name for a condition over several.
        broken: one boolean per row, True where the rule does not hold. A null input breaks no rule.
        needs: columns that the rule reads in the table.
    """

    rule: str
    column: str
    broken: pl.Series
    needs: tuple[str, ...]


def judge_rows(name: str, frame: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> list[RuleOutcome]:
    """Apply each rule of the table to its rows.

    A rule whose own columns are missing or of a type that it cannot read is broken in every row. Rules that
    point at a table that is not in `tables` are left out: that table's absence is for the caller to judge.
    """
    facts = facts_of(TABLES[name])
    conditions = [*(rule for rule in row_rules(name) if rule.column is None), *date_rules(name)]
    outcomes = [_outcome(r.name, r.column or name, frame, r.needs, r.broken) for r in conditions]
    for c in columns(TABLES[name]):
        parent, _, key = (c.references or "").partition(".")
        if parent in tables:
            outcomes.append(_member("reference", c.name, frame, tables[parent], key))
    if JOURNEYS in tables and name != JOURNEYS:
        outcomes += _belongs_to_journeys(name, facts, frame, tables[JOURNEYS])
    return outcomes


def _belongs_to_journeys(
    name: str, facts: TableFacts, frame: pl.DataFrame, journeys: pl.DataFrame
) -> list[RuleOutcome]:
    declared = {c.name for c in columns(TABLES[name])}
    if facts.partition_by == "brand":
        return [_member("brand_of_partition", "brand", frame, journeys, "brand")]
    if {"patient_journey_id", "patient_id"} <= declared:
        return [_same_patient(frame, journeys)]
    return []


def _outcome(
    rule: str, column: str, frame: pl.DataFrame, needs: tuple[str, ...], mask: pl.Expr
) -> RuleOutcome:
    try:
        broken = frame.select(mask.fill_null(False).alias("broken"))["broken"]
    except pl.exceptions.PolarsError:
        # Missing or ill-typed columns: nothing can be said for the rule, so it holds nowhere.
        broken = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
    return RuleOutcome(rule, column, broken, needs)


def _member(rule: str, column: str, frame: pl.DataFrame, parent: pl.DataFrame, key: str) -> RuleOutcome:
    known = parent.get_column(key, default=pl.Series(key, [], dtype=pl.String)).unique()
    # On the series itself; as an expression `is_in` takes ten times as long when few values are known.
    unknown = pl.col(column).map_batches(lambda s: ~s.is_in(known.implode()), return_dtype=pl.Boolean)
    return _outcome(rule, column, frame, (column,), unknown)


def _same_patient(frame: pl.DataFrame, journeys: pl.DataFrame) -> RuleOutcome:
    """A child's patient is its journey's patient; an unknown journey is the reference rule's matter."""
    needs = ("patient_journey_id", "patient_id")
    try:
        owners = journeys.select("patient_journey_id", owner="patient_id").unique(
            "patient_journey_id", keep="first", maintain_order=True
        )
        judged = frame.select(needs).join(owners, on="patient_journey_id", how="left", maintain_order="left")
    except pl.exceptions.PolarsError:
        judged = frame
    return _outcome(
        "patient_of_journey", "patient_id", judged, needs, pl.col("owner") != pl.col("patient_id")
    )
