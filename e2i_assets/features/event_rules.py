"""Features of events as rules: what each is called, how it is aggregated, and when nothing means zero.

Every expression is evaluated on one patient's events of the lookback, which all lie before the index date;
`days` counts back from it. So no rule can reach an event of the index date or later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from e2i_assets.cohorts.event_windows import EventWindows, Statistic
from e2i_assets.contracts.levels import EVENT_TYPES
from e2i_assets.contracts.variables import INDEX, Feature

SOURCE = "treatment_events"
HAPPENED = ~(pl.col("cost") < 0).fill_null(value=False)
MEASURED = pl.col("value").is_not_null() & HAPPENED
PER_DAYS = 30
"""Days that the slope of a measurement is told per."""


class EventRule(NamedTuple):
    """One feature.

    Attributes:
        days: of the window.
        summed: the column that a sum is over: without any event it is 0, unless that column is empty.
        whole: whether each day of the window must have been observed for it to be known.
    """

    feature: Feature
    expression: pl.Expr
    days: int
    summed: str = ""
    whole: bool = False


def standard_rules(
    tests: Sequence[str], subtypes: Sequence[tuple[str, str]], days: int
) -> Iterator[EventRule]:
    """What is told of every partition: number and last of each type, laboratory values, cost, adverse events.

    Args:
        tests: laboratory tests that enough patients have.
        subtypes: type and subtype of what is counted by itself.
    """
    for kind in EVENT_TYPES:
        of_kind = (pl.col("event_type") == kind) & HAPPENED
        yield _count(kind, of_kind, days)
        since = _feature(
            f"days_since_{kind}", "days", f"Days since the last {words(kind)}", low=1, high=days, integer=True
        )
        yield EventRule(since, pl.col("days").filter(of_kind).min().cast(pl.Float64), days)
    for kind, subtype in subtypes:
        description = f"{words(kind)} events, {words(subtype)}, in {days} days before"
        feature = _feature(counter(kind, subtype, days), "events", description, low=0, integer=True)
        of_subtype = (pl.col("event_type") == kind) & (pl.col("event_subtype") == subtype)
        yield _sum(feature, of_subtype.fill_null(value=False) & HAPPENED, days, "event_type")
    for test in tests:
        values = pl.col("value").filter(_measured("lab_test", test))
        for name, word, aggregated in (("mean", "Mean", values.mean()), ("last", "Last", values.last())):
            description = f"{word} {words(test)} before the index date"
            yield EventRule(_feature(f"lab_{test}_{name}", None, description, "value"), aggregated, days)
    cost = _feature(f"cost_{days}d", "USD", f"Billed cost in {days} days before, less reversals", "cost")
    adverse = _feature(
        f"n_adverse_{days}d", "events", f"Adverse events in {days} days before", "adverse_event_flag",
        low=0, integer=True,
    )  # fmt: skip
    yield _sum(cost, pl.col("cost"), days, "cost")
    yield _sum(adverse, pl.col("adverse_event_flag").filter(HAPPENED), days, "adverse_event_flag")


def declared_rules(declared: EventWindows, measured: Mapping[str, Sequence[str]]) -> Iterator[EventRule]:
    """What a cohort file declares.

    Args:
        measured: event type to its subtypes that enough patients have a value of.
    """
    for kind in declared.event_types:
        for days in declared.windows:
            for statistic in declared.statistics:
                if statistic in _VALUES:
                    for subtype in measured.get(kind, ()):
                        yield _of_values(statistic, kind, subtype, days)
                else:
                    yield _of_events(statistic, kind, days)


def counter(kind: str, subtype: str, days: int) -> str:
    """Name of the feature that counts a subtype."""
    return f"n_{kind}_{subtype}_{days}d"


def words(name: str) -> str:
    """A name for a person."""
    return name.replace("_", " ")


def _of_events(statistic: Statistic, kind: str, days: int) -> EventRule:
    chosen = (pl.col("event_type") == kind) & (pl.col("days") <= days)
    match statistic:
        case Statistic.COUNT:
            return _count(kind, chosen & HAPPENED, days)
        case Statistic.TREND:
            return _trend(kind, chosen & HAPPENED, days)
        case Statistic.KINDS:
            return _kinds(kind, chosen & HAPPENED, days)
        case Statistic.COST:
            description = f"Billed cost of {_events(kind, days)}, less reversals"
            feature = _feature(f"cost_{kind}_{days}d", "USD", description, "cost")
            return _sum(feature, pl.col("cost").filter(chosen), days, "cost")
        case _:
            return _of_days(statistic, kind, pl.col("days").filter(chosen & HAPPENED), days)


def _trend(kind: str, chosen: pl.Expr, days: int) -> EventRule:
    later, earlier = (
        (chosen & half).cast(pl.Int64)
        for half in (pl.col("days") <= days // 2, pl.col("days") > days - days // 2)
    )
    description = f"{_events(kind, days)}: those of the later half less those of the earlier half"
    feature = _feature(f"trend_{kind}_{days}d", "events", description, integer=True)
    return _sum(feature, later - earlier, days, "event_type")


def _kinds(kind: str, chosen: pl.Expr, days: int) -> EventRule:
    kinds = pl.col("event_subtype").filter(chosen)
    description = f"Different kinds of {_events(kind, days)}"
    feature = _feature(f"kinds_{kind}_{days}d", "kinds", description, "event_subtype", low=0, integer=True)
    known = pl.when(kinds.null_count() == 0).then(kinds.n_unique()).cast(pl.Float64)
    return EventRule(feature, known, days, "event_subtype", whole=True)


def _of_days(statistic: Statistic, kind: str, when: pl.Expr, days: int) -> EventRule:
    """How many days before the index date, or between events."""
    several = when.n_unique() > 1
    name, description, expression = {
        Statistic.RECENCY: ("days_since", "Days since the last of", when.min()),
        Statistic.FIRST: ("days_since_first", "Days since the first of", when.max()),
        Statistic.MEAN_GAP: (
            "mean_gap",
            "Mean days between days with",
            pl.when(several).then((when.max() - when.min()) / (when.n_unique() - 1)),
        ),
        Statistic.LONGEST_GAP: (
            "longest_gap",
            "Most days between days with",
            when.unique().sort().diff().max(),
        ),
    }[statistic]
    feature = _feature(
        f"{name}_{kind}_{days}d", "days", f"{description} {_events(kind, days)}",
        low=1, high=days, integer=statistic is not Statistic.MEAN_GAP,
    )  # fmt: skip
    # What is last is known from the event itself; an earlier one may lie in days that nobody observed.
    return EventRule(feature, expression.cast(pl.Float64), days, whole=statistic is not Statistic.RECENCY)


_VALUES = {Statistic.LAST_VALUE: "last", Statistic.MEAN_VALUE: "mean", Statistic.VALUE_TREND: "trend"}


def _of_values(statistic: Statistic, kind: str, subtype: str, days: int) -> EventRule:
    chosen = _measured(kind, subtype) & (pl.col("days") <= days)
    values, back = pl.col("value").filter(chosen), pl.col("days").filter(chosen).cast(pl.Float64)
    offset = back - back.mean()
    slope = -PER_DAYS * (offset * values).sum() / (offset * offset).sum()
    description, expression = {
        Statistic.LAST_VALUE: ("Last", values.last()),
        Statistic.MEAN_VALUE: ("Mean", values.mean()),
        Statistic.VALUE_TREND: (f"Change per {PER_DAYS} days of", pl.when(back.n_unique() > 1).then(slope)),
    }[statistic]
    prefix = "lab" if kind == "lab_test" else kind
    name = f"{prefix}_{subtype}_{_VALUES[statistic]}_{days}d"
    feature = _feature(name, None, f"{description} {words(subtype)} in {days} days before", "value")
    return EventRule(feature, expression, days, whole=statistic is not Statistic.LAST_VALUE)


def _measured(kind: str, subtype: str) -> pl.Expr:
    return (pl.col("event_type") == kind) & (pl.col("event_subtype") == subtype) & MEASURED


def _count(kind: str, chosen: pl.Expr, days: int) -> EventRule:
    feature = _feature(f"n_{kind}_{days}d", "events", _events(kind, days), low=0, integer=True)
    return _sum(feature, chosen, days, "event_type")


def _events(kind: str, days: int) -> str:
    return f"{words(kind)} events in {days} days before"


def _sum(feature: Feature, values: pl.Expr, days: int, column: str) -> EventRule:
    """A sum, unknown where one of the values is."""
    known = pl.when(values.null_count() == 0).then(values.sum()).cast(pl.Float64)
    return EventRule(feature, known, days, column, whole=True)


def _feature(name: str, unit: str | None, description: str, column: str = "", **bounds: Any) -> Feature:
    """Known on the index date, because events are counted from before it only."""
    source = f"{SOURCE}.{column}" if column else SOURCE
    return Feature(
        name=name,
        kind="numeric",
        unit=unit,
        description=description,
        source=source,
        available_at=INDEX,
        **bounds,
    )
