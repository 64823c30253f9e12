"""Event features: counts, recency and laboratory values from the days before the index date."""

from __future__ import annotations

import polars as pl

from e2i_assets.contracts.tables import EVENT_TYPES
from e2i_assets.features.feature_set import Feature

SOURCE = "treatment_events"


def event_features(
    members: pl.DataFrame, events: pl.DataFrame, *, index_date_field: str, lookback_days: int
) -> tuple[pl.DataFrame, list[Feature]]:
    """Features of the events in the `lookback_days` days that end the day before the index date.

    An event on the index date itself is left out: it may be a consequence of what the date marks.

    Returns:
        patient_journey_id and one column per feature, one row per member; and their descriptions.
    """
    index = members.select("patient_journey_id", index_date=pl.col(index_date_field).cast(pl.Date))
    before = events.join(index, on="patient_journey_id").with_columns(
        days=(pl.col("index_date") - pl.col("event_date")).dt.total_days()
    )
    window = before.filter(pl.col("days").is_between(1, lookback_days)).sort(
        "event_date", "treatment_event_id"
    )
    rules = _rules(window, lookback_days)
    grouped = window.group_by("patient_journey_id").agg(
        [expression.alias(f.name) for f, expression, _ in rules]
    )
    frame = index.select("patient_journey_id").join(grouped, on="patient_journey_id", how="left")
    zero = [f.name for f, _, counted in rules if counted]
    return frame.with_columns(pl.col(zero).fill_null(0)), [f for f, _, _ in rules]


def _rules(window: pl.DataFrame, days: int) -> list[tuple[Feature, pl.Expr, bool]]:
    """Feature, aggregation, and whether nothing recorded means zero."""
    rules = []
    for kind in EVENT_TYPES:
        of_kind = pl.col("event_type") == kind
        counted = Feature(
            f"n_{kind}_{days}d", "numeric", "events", f"{_said(kind)} events in {days} days before", SOURCE
        )
        since = Feature(f"days_since_{kind}", "numeric", "days", f"Days since the last {_said(kind)}", SOURCE)
        rules.append((counted, of_kind.sum().cast(pl.Float64), True))
        rules.append((since, pl.col("days").filter(of_kind).min().cast(pl.Float64), False))
    measured = (pl.col("event_type") == "lab_test") & pl.col("value").is_not_null()
    for test in sorted(window.filter(measured)["event_subtype"].drop_nulls().unique()):
        values = pl.col("value").filter(measured & (pl.col("event_subtype") == test))
        for name, said, aggregated in (("mean", "Mean", values.mean()), ("last", "Last", values.last())):
            feature = Feature(
                f"lab_{test}_{name}",
                "numeric",
                None,
                f"{said} {_said(test)} before the index date",
                f"{SOURCE}.value",
            )
            rules.append((feature, aggregated, False))
    cost = Feature(f"cost_{days}d", "numeric", "USD", f"Billed cost in {days} days before", f"{SOURCE}.cost")
    adverse = Feature(
        f"n_adverse_{days}d",
        "numeric",
        "events",
        f"Adverse events in {days} days before",
        f"{SOURCE}.adverse_event_flag",
    )
    rules.append((cost, pl.col("cost").sum(), True))
    rules.append((adverse, pl.col("adverse_event_flag").fill_null(value=False).sum().cast(pl.Float64), True))
    return rules


def _said(name: str) -> str:
    return name.replace("_", " ")
