"""Event features: one pass over the events of the days before the index date, patient by patient."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import polars as pl

from e2i_assets.cohorts.config import OBSERVATION_START
from e2i_assets.cohorts.event_windows import EventWindows
from e2i_assets.contracts.variables import Feature
from e2i_assets.features.errors import FeatureError
from e2i_assets.features.event_rules import (
    MEASURED,
    SOURCE,
    EventRule,
    counter,
    declared_rules,
    standard_rules,
)

KEY = "treatment_event_id"
READ = (
    KEY, "patient_journey_id", "event_date", "event_type", "event_subtype", "value", "cost",
    "adverse_event_flag",
)  # fmt: skip
SELDOM = 0.02
"""Share of patients below whom a declared statistic is known too seldom to be a feature."""


def event_features(
    members: pl.DataFrame,
    events: pl.DataFrame,
    *,
    index_date_field: str,
    lookback_days: int,
    subtypes: Mapping[str, Sequence[str]],
    declared: Sequence[EventWindows],
    minimum_cell_count: int,
    required: Collection[str] = (),
) -> tuple[pl.DataFrame, list[Feature], dict[str, str]]:
    """Features of the events in the `lookback_days` days that end the day before the index date.

    An event on the index date itself is left out: it may be a consequence of what the date marks. An event
    that was delivered twice counts once. One of negative cost is a reversal: it lowers the cost and is no
    event of its own. A sum over something unknown is unknown; without any event it is 0, unless the partition
    knows nothing of that column. What needs each day of a window is unknown of whom was observed for fewer.

    Args:
        subtypes: event type to those subtypes that are counted by themselves.
        declared: further statistics over windows within the lookback.
        minimum_cell_count: patients below whom a test or subtype is no feature: its name would tell.
        required: declared statistics that are features however seldom they are known.

    Returns:
        patient_journey_id and one column per feature, one row per member; their descriptions; and what is no
        feature for want of patients, with the reason.

    Raises:
        FeatureError: events without key, journey or date, two different ones with the same key, or a window
            that is longer than the lookback.
    """
    _within(declared, lookback_days)
    index = members.select(
        "patient_journey_id",
        "patient_id",
        index_date=pl.col(index_date_field).cast(pl.Date),
        observed_from=pl.col(OBSERVATION_START).cast(pl.Date),
    )
    window = (
        _once(events)
        .join(index, on="patient_journey_id")
        .with_columns(days=(pl.col("index_date") - pl.col("event_date")).dt.total_days())
        .filter(pl.col("days").is_between(1, lookback_days))
        .sort("event_date", KEY)
    )
    common = _common(window, minimum_cell_count)
    wanted = [(kind, subtype) for kind, named in subtypes.items() for subtype in named]
    few = f"fewer than {minimum_cell_count} patients have one"
    dropped = {counter(*pair, lookback_days): few for pair in wanted if pair not in common}
    values = _measured(window, minimum_cell_count)
    tests = values.get("lab_test", [])
    taken = window.filter(MEASURED & (pl.col("event_type") == "lab_test"))["event_subtype"]
    if rare := taken.n_unique() - len(tests) - taken.has_nulls():
        dropped[f"lab_* ({rare})"] = few
    standard = list(standard_rules(tests, [pair for pair in wanted if pair in common], lookback_days))
    rules = _each_once([*standard, *(rule for entry in declared for rule in declared_rules(entry, values))])
    frame = _values(index, window, rules)
    judged = [rule for rule in rules[len(standard) :] if rule.feature.name not in required]
    dropped |= _seldom_known(frame, judged, minimum_cell_count)
    return frame.drop("patient_id"), [rule.feature for rule in rules], dropped


def _seldom_known(frame: pl.DataFrame, rules: Sequence[EventRule], minimum_cell_count: int) -> dict[str, str]:
    """What a window tells of so few patients that train may have none of them."""
    least = max(minimum_cell_count, math.ceil(SELDOM * frame["patient_id"].n_unique()))
    names = [rule.feature.name for rule in rules]
    patients = frame.select(
        pl.col("patient_id").filter(pl.col(name).is_not_null()).n_unique().alias(name) for name in names
    )
    return {name: f"known of fewer than {least} patients" for name in names if patients[name].item() < least}


def _values(index: pl.DataFrame, window: pl.DataFrame, rules: Sequence[EventRule]) -> pl.DataFrame:
    """One row per member, with the patient."""
    grouped = window.group_by("patient_journey_id").agg(
        rule.expression.alias(rule.feature.name) for rule in rules
    )
    eventless = ~pl.col("patient_journey_id").is_in(grouped["patient_journey_id"].to_list())
    collected = {name for name in READ if window[name].count()} | {"event_type"}
    return index.join(grouped, on="patient_journey_id", how="left").select(
        "patient_journey_id", "patient_id", *(_known(rule, eventless, collected) for rule in rules)
    )


def _within(declared: Sequence[EventWindows], lookback_days: int) -> None:
    if longer := sorted({days for entry in declared for days in entry.windows if days > lookback_days}):
        raise FeatureError(
            f"event_windows: {', '.join(map(str, longer))} days are longer than the lookback of "
            f"{lookback_days}, beyond which nobody has to be observed"
        )


def _each_once(rules: Iterable[EventRule]) -> list[EventRule]:
    """A count that is declared over the whole lookback is the standard one."""
    named: dict[str, EventRule] = {}
    for rule in rules:
        named.setdefault(rule.feature.name, rule)
    return list(named.values())


def _known(rule: EventRule, eventless: pl.Expr, collected: set[str]) -> pl.Expr:
    """A feature's value, or nothing where it cannot be known."""
    value = pl.col(rule.feature.name)
    if rule.summed in collected:
        value = pl.when(eventless).then(0.0).otherwise(value)
    elif rule.summed:
        value = pl.lit(None, pl.Float64)
    if rule.whole:
        observed = (pl.col("index_date") - pl.col("observed_from")).dt.total_days()
        value = pl.when((observed < rule.days).fill_null(value=False)).then(None).otherwise(value)
    return value.alias(rule.feature.name)


def _common(events: pl.DataFrame, minimum_cell_count: int) -> set[tuple[str, str]]:
    """Types and subtypes of events that enough patients have."""
    counts = (
        events.drop_nulls("event_subtype")
        .group_by("event_type", "event_subtype")
        .agg(pl.col("patient_id").n_unique())
    )
    enough = counts.filter(pl.col("patient_id") >= minimum_cell_count)
    return set(enough.select("event_type", "event_subtype").rows())


def _measured(events: pl.DataFrame, minimum_cell_count: int) -> dict[str, list[str]]:
    """Event type to its subtypes that enough patients have a value of, sorted."""
    measured: dict[str, list[str]] = {}
    for kind, subtype in sorted(_common(events.filter(MEASURED), minimum_cell_count)):
        measured.setdefault(kind, []).append(subtype)
    return measured


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
