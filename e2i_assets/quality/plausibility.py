"""Days that contradict each other: the columns that a cohort file names as index date, birth and death.

What the contract's own dates must keep stands with the contract (`contracts.rules.date_rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from e2i_assets.contracts.base import columns, key_of
from e2i_assets.contracts.rules import EARLIEST, known_when_recorded
from e2i_assets.contracts.tables import TABLES
from e2i_assets.quality.relations import JOURNEYS

if TYPE_CHECKING:
    from e2i_assets.cohorts.config import CohortConfig

EVENTS = "treatment_events"
RECORDED = "source_timestamp"


@dataclass(frozen=True)
class LifeDates:
    """Columns of patient_journeys that a cohort file names; None where it names none."""

    index: str | None = None
    birth: str | None = None
    death: str | None = None

    @classmethod
    def of(cls, cohort: CohortConfig) -> Self:
        """What a cohort file names."""
        windows = cohort.temporal_requirements
        index = windows.index_date_field if windows else None
        return cls(index, cohort.birth_date_field, cohort.death_date_field)


@dataclass(frozen=True)
class Contradiction:
    """Rows with an impossible day.

    Attributes:
        decides: whether membership or outcome rests on the day; where the rest of the row decides it anyway
            (nobody who died before the index date is a member), the row is only named.
        keys: of the rows, for whoever corrects them; they stay out of the text.
    """

    table: str
    column: str
    rule: str
    count: int
    of: int
    decides: bool
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.table}.{self.column}: rule {self.rule} broken in {self.count} of {self.of} rows"


def contradictions(tables: Mapping[str, pl.DataFrame], dates: LifeDates) -> list[Contradiction]:
    """What of the named dates cannot be; a column that is missing or no date is the schema layer's."""
    journeys = tables.get(JOURNEYS, pl.DataFrame())
    dates_of = {
        name: pl.col(column).cast(pl.Date)
        for name, column in (("index", dates.index), ("birth", dates.birth), ("death", dates.death))
        if column in journeys.columns and journeys.schema[column] in (pl.Date, pl.Datetime)
    }
    contradictory = [*_alone(journeys, dates, dates_of), *_together(journeys, dates, dates_of)]
    if dates.birth and "birth" in dates_of and EVENTS in tables:
        contradictory += _before_birth(tables[EVENTS], journeys, dates.birth)
    return [contradiction for contradiction in contradictory if contradiction.count]


def _alone(journeys: pl.DataFrame, dates: LifeDates, dates_of: Mapping[str, pl.Expr]) -> list[Contradiction]:
    """A day too early to be one, or later than the source could know."""
    contract = {c.name for c in columns(TABLES[JOURNEYS])}
    contradictory = []
    for name, value in dates_of.items():
        column = str(getattr(dates, name))
        if column in contract:
            continue
        contradictory.append(_counted(journeys, column, "too_early", value < EARLIEST))
        if isinstance(journeys.schema.get(RECORDED), pl.Datetime):
            late = known_when_recorded(column, RECORDED)
            contradictory.append(_counted(journeys, column, late.name, late.broken))
    return contradictory


def _together(
    journeys: pl.DataFrame, dates: LifeDates, dates_of: Mapping[str, pl.Expr]
) -> list[Contradiction]:
    rules = (
        ("birth", "index", "birth_after_index", True),
        ("birth", "death", "birth_after_death", True),
        ("index", "death", "death_before_index", False),
    )
    return [
        _counted(
            journeys,
            str(dates.death if rule == "death_before_index" else dates.birth),
            rule,
            dates_of[first] > dates_of[second],
            decides=decides,
        )
        for first, second, rule, decides in rules
        if first in dates_of and second in dates_of
    ]


def _before_birth(events: pl.DataFrame, journeys: pl.DataFrame, birth: str) -> list[Contradiction]:
    needed = {"event_date", "patient_journey_id"}
    if not needed <= set(events.columns) or "patient_journey_id" not in journeys.columns:
        return []
    born = journeys.select("patient_journey_id", born=pl.col(birth).cast(pl.Date)).unique(
        "patient_journey_id"
    )
    dated = events.join(born, on="patient_journey_id", how="left", maintain_order="left")
    return [
        _counted(dated, "event_date", "event_before_birth", pl.col("event_date") < pl.col("born"), EVENTS)
    ]


def _counted(
    frame: pl.DataFrame,
    column: str,
    rule: str,
    broken: pl.Expr,
    table: str = JOURNEYS,
    *,
    decides: bool = True,
) -> Contradiction:
    rows = frame.filter(broken.fill_null(value=False))
    keys = rows.get_column(key_of(TABLES[table]), default=pl.Series([], dtype=pl.String))
    return Contradiction(table, column, rule, rows.height, frame.height, decides, tuple(keys.to_list()))
