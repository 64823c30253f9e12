"""Events around the index date, counted for each journey and criterion in one pass over the events."""

from __future__ import annotations

from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from e2i_assets.cohorts.config import (
    EVENT_COST,
    EVENT_DATE,
    EVENT_DURATION,
    JOURNEY_KEY,
    OBSERVATION_END,
    OBSERVATION_START,
    CohortConfig,
)
from e2i_assets.cohorts.criteria import assess, counted, day, days_between, is_untyped
from e2i_assets.cohorts.criterion import EventCriterion
from e2i_assets.cohorts.errors import CohortError

if TYPE_CHECKING:
    import ibis.expr.types as ir

ANCHOR = "__journey__"
"""Before the name of a date of the journey, beside the columns of an event."""


def with_event_counts(config: CohortConfig, journeys: ir.Table, events: ir.Table) -> ir.Table:
    """The journeys, and for each criterion on events how many count and how many might.

    An event counts when it meets all conditions and lies in the window. It might count when nothing that is
    known of it speaks against it. Both are 0 for a journey without events. One of negative cost is the
    reversal of another event, and counts for none.

    Args:
        events: each of them once.

    Raises:
        CohortError: CC_004 when a column's type does not fit a criterion, CC_005 for a date column.
    """
    import ibis

    key = _key_type(journeys, events, config.cohort_id)
    anchors = {
        name: day(journeys, name, config.cohort_id) for name in config.date_fields if name in journeys.columns
    }
    indexed = journeys.select(
        **{JOURNEY_KEY: journeys[JOURNEY_KEY].cast(key)},
        **{f"{ANCHOR}{name}": date for name, date in anchors.items()},
    )
    event_date = day(events, EVENT_DATE, config.cohort_id)
    dated = events.mutate(**{JOURNEY_KEY: events[JOURNEY_KEY].cast(key), EVENT_DATE: event_date})
    if EVENT_COST in events.columns and events[EVENT_COST].type().is_numeric():
        dated = dated.filter((dated[EVENT_COST] >= 0).fill_null(True))
    placed = dated.join(indexed, JOURNEY_KEY)
    sums: dict[str, Any] = {}
    for i, criterion in enumerate(config.event_criteria):
        certain, possible = _counts(criterion, placed, config)
        sums |= zip(counted(i), _totals(criterion, certain, possible, placed), strict=True)
    per_journey = placed.group_by(JOURNEY_KEY).aggregate(**sums)
    joined = journeys.left_join(per_journey, journeys[JOURNEY_KEY].cast(key) == per_journey[JOURNEY_KEY])
    filled = {name: joined[name].fill_null(ibis.literal(0, "int64")) for name in sums}
    return joined.select(*journeys.columns, **filled)


def _totals(criterion: EventCriterion, certain: Any, possible: Any, placed: ir.Table) -> tuple[Any, Any]:
    """How many events count and how many might, or different values of theirs, some perhaps unknown."""
    if criterion.distinct is None:
        return certain.ifelse(1, 0).sum(), possible.ifelse(1, 0).sum()
    values = placed[criterion.distinct]
    known = values.notnull()  # Polars would take null for a value
    unknown = (possible & ~known).ifelse(1, 0).sum()
    return values.nunique(where=certain & known), values.nunique(where=possible & known) + unknown


def _key_type(journeys: ir.Table, events: ir.Table, cohort_id: str) -> str:
    """The type in which keys are compared; a column of nulls without a type takes the other's."""
    types = [table[JOURNEY_KEY].type() for table in (journeys, events)]
    typed = [t for t in types if not is_untyped(t)]
    known = {"string" if t.is_string() else "int64" if t.is_integer() else "" for t in typed}
    if len(known) > 1 or "" in known:
        raise CohortError(
            "CC_004",
            f"{cohort_id}: {JOURNEY_KEY} is {types[0]} in the journeys and {types[1]} in the events; both "
            "must be text, or both whole numbers",
        )
    return known.pop() if known else "string"


def _counts(criterion: EventCriterion, placed: ir.Table, config: CohortConfig) -> tuple[Any, Any]:
    """Whether an event counts, and whether it might."""
    assert config.temporal_requirements is not None, "a definition without windows counts no days"
    answers = [assess(condition, placed, config.cohort_id) for condition in criterion.where]
    index = placed[f"{ANCHOR}{criterion.days_from or config.temporal_requirements.index_date_field}"]
    start, end = (placed[f"{ANCHOR}{name}"] for name in (OBSERVATION_START, OBSERVATION_END))
    begun = placed[EVENT_DATE]
    days = days_between(index, begun)
    lasted = 0
    if criterion.dated_by == "end":
        lasted = placed[EVENT_DURATION].cast("int64")
        days = days + lasted
    first, last = criterion.within_days
    inside = [days >= first] * (first is not None) + [days <= last] * (last is not None)
    if criterion.observed:
        inside += [days_between(start, begun) >= 0, days_between(begun, end) >= 0]
        if last is None:
            inside.append(days_between(begun, end) >= lasted)
    # What is not known of a day may lie in the window.
    answers += [(within.fill_null(False), within.isnull()) for within in inside]
    certain = reduce(and_, [met for met, _ in answers])
    possible = reduce(and_, [met | unknown for met, unknown in answers])
    return certain, possible
