"""Event features: counts, recency and laboratory values from the days before the index date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from e2i_assets.contracts.levels import EVENT_TYPES
from e2i_assets.contracts.variables import INDEX, Feature
from e2i_assets.features.errors import FeatureError

SOURCE = "treatment_events"
KEY = "treatment_event_id"
READ = (
    KEY, "patient_journey_id", "event_date", "event_type", "event_subtype", "value", "cost",
    "adverse_event_flag",
)  # fmt: skip
HAPPENED = ~(pl.col("cost") < 0).fill_null(value=False)
MEASURED = (pl.col("event_type") == "lab_test") & pl.col("value").is_not_null() & HAPPENED


def event_features(
    members: pl.DataFrame,
    events: pl.DataFrame,
    *,
    index_date_field: str,
    lookback_days: int,
    subtypes: Mapping[str, Sequence[str]],
    minimum_cell_count: int,
) -> tuple[pl.DataFrame, list[Feature], dict[str, str]]:
    """Features of the events in the `lookback_days` days that end the day before the index date.

    An event on the index date itself is left out: it may be a consequence of what the date marks. An event
    that was delivered twice counts once. One of negative cost is a reversal: it lowers the cost and is no
    event of its own. A sum over something unknown is unknown; without any event it is 0, unless the partition
    knows nothing of that column.

    Args:
        subtypes: event type to those subtypes that are counted by themselves.
        minimum_cell_count: patients below whom a test or subtype is no feature: its name would tell.

    Returns:
        patient_journey_id and one column per feature, one row per member; their descriptions; and what is no
        feature for want of patients, with the reason.

    Raises:
        FeatureError: events without key, journey or date, or two different ones with the same key.
    """
    index = members.select(
        "patient_journey_id", "patient_id", index_date=pl.col(index_date_field).cast(pl.Date)
    )
    before = (
        _once(events)
        .join(index, on="patient_journey_id")
        .with_columns(days=(pl.col("index_date") - pl.col("event_date")).dt.total_days())
    )
    window = before.filter(pl.col("days").is_between(1, lookback_days)).sort("event_date", KEY)
    common = _common(window, minimum_cell_count)
    few = f"fewer than {minimum_cell_count} patients have one"
    wanted = [(kind, subtype) for kind, named in subtypes.items() for subtype in named]
    dropped = {_counter(*pair, lookback_days): few for pair in wanted if pair not in common}
    measured = window.filter(MEASURED)
    tests = sorted(subtype for kind, subtype in _common(measured, minimum_cell_count))
    if rare := measured["event_subtype"].n_unique() - len(tests) - measured["event_subtype"].has_nulls():
        dropped[f"lab_* ({rare})"] = few
    rules = _rules(tests, [pair for pair in wanted if pair in common], lookback_days)
    grouped = window.group_by("patient_journey_id").agg(
        [expression.alias(f.name) for f, expression, _ in rules]
    )
    frame = index.select("patient_journey_id").join(grouped, on="patient_journey_id", how="left")
    eventless = ~pl.col("patient_journey_id").is_in(window["patient_journey_id"].unique().to_list())
    collected = {name for name in READ if window[name].count()} | {"event_type"}
    zero = [f.name for f, _, summed in rules if summed in collected]
    return (
        frame.with_columns(pl.when(eventless).then(0.0).otherwise(pl.col(name)).alias(name) for name in zero),
        [f for f, _, _ in rules],
        dropped,
    )


def _common(events: pl.DataFrame, minimum_cell_count: int) -> set[tuple[str, str]]:
    """Types and subtypes of events that enough patients have."""
    counts = (
        events.drop_nulls("event_subtype")
        .group_by("event_type", "event_subtype")
        .agg(pl.col("patient_id").n_unique())
    )
    enough = counts.filter(pl.col("patient_id") >= minimum_cell_count)
    return set(enough.select("event_type", "event_subtype").rows())


def _counter(kind: str, subtype: str, days: int) -> str:
    return f"n_{kind}_{subtype}_{days}d"


def _once(events: pl.DataFrame) -> pl.DataFrame:
    """The columns that features read, each event once."""
    if lacking := [name for name in READ[:3] if events[name].null_count()]:
        raise FeatureError(f"{SOURCE}: {', '.join(lacking)}: empty in some rows; each event must have it")
    distinct = events.select(READ).unique()
    if repeated := distinct.height - distinct[KEY].n_unique():
        raise FeatureError(
            f"{SOURCE}.{KEY}: {repeated} rows repeat it with other values; each event must have its own"
        )
    return distinct


def _rules(
    tests: Sequence[str], subtypes: Sequence[tuple[str, str]], days: int
) -> list[tuple[Feature, pl.Expr, str]]:
    """Feature, aggregation, and of a sum the column that it is over."""
    rules = []
    for kind in EVENT_TYPES:
        of_kind = (pl.col("event_type") == kind) & HAPPENED
        counted = _feature(
            f"n_{kind}_{days}d", "events", f"{_words(kind)} events in {days} days before", low=0, integer=True
        )
        since = _feature(
            f"days_since_{kind}",
            "days",
            f"Days since the last {_words(kind)}",
            low=1,
            high=days,
            integer=True,
        )
        rules.append((counted, _sum(of_kind), "event_type"))
        rules.append((since, pl.col("days").filter(of_kind).min().cast(pl.Float64), ""))
    for kind, subtype in subtypes:
        counted = _feature(
            _counter(kind, subtype, days), "events",
            f"{_words(kind)} events, {_words(subtype)}, in {days} days before", low=0, integer=True,
        )  # fmt: skip
        of_subtype = (pl.col("event_type") == kind) & (pl.col("event_subtype") == subtype)
        rules.append((counted, _sum(of_subtype.fill_null(value=False) & HAPPENED), "event_type"))
    for test in tests:
        values = pl.col("value").filter(MEASURED & (pl.col("event_subtype") == test))
        for name, word, aggregated in (("mean", "Mean", values.mean()), ("last", "Last", values.last())):
            feature = _feature(
                f"lab_{test}_{name}", None, f"{word} {_words(test)} before the index date", "value"
            )
            rules.append((feature, aggregated, ""))
    cost = _feature(f"cost_{days}d", "USD", f"Billed cost in {days} days before, less reversals", "cost")
    adverse = _feature(
        f"n_adverse_{days}d", "events", f"Adverse events in {days} days before", "adverse_event_flag",
        low=0, integer=True,
    )  # fmt: skip
    rules.append((cost, _sum(pl.col("cost")), "cost"))
    rules.append((adverse, _sum(pl.col("adverse_event_flag").filter(HAPPENED)), "adverse_event_flag"))
    return rules


def _sum(values: pl.Expr) -> pl.Expr:
    """A sum, unknown where one of the values is."""
    return pl.when(values.null_count() == 0).then(values.sum()).cast(pl.Float64)


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


def _words(name: str) -> str:
    return name.replace("_", " ")
