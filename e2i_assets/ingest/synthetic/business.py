"""Brand-level tables: monthly business figures projected from the journeys, and causal findings on record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from e2i_assets.contracts.levels import REGIONS
from e2i_assets.ingest.synthetic.draws import Rng
from e2i_assets.ingest.synthetic.spec import Calendar

PROJECTION = 40
"""Patients in the market for each patient in the data."""
MARKET_SHARE = {"Remibrutinib": 0.12, "Fabhalta": 0.08, "Kisqali": 0.25}
METRICS = ("trx", "nrx", "market_share", "conversion_rate", "hcp_engagement_score")


def business_metrics(
    rng: Rng, journeys: pl.DataFrame, events: pl.DataFrame, calendar: Calendar, months: int
) -> pl.DataFrame:
    """The five figures by month, brand and region over the last `months` months of diagnoses.

    Prescriptions (trx), initiations (nrx), conversion and engagement are those of the journeys diagnosed in
    the month (counts times `PROJECTION`); null where there was none. Market share is drawn: competitors are
    in no table.

    Args:
        journeys: population of all partitions, complete.
        events: events of all partitions.
    """
    prescriptions = events.filter(event_type="prescription").group_by("patient_journey_id").agg(trx=pl.len())
    by = ["metric_date", "brand", "region"]
    measured = (
        journeys.join(prescriptions, on="patient_journey_id", how="left")
        .group_by(pl.col("diagnosis_date").dt.truncate("1mo").alias("metric_date"), "brand",
                  pl.col("geographic_region").alias("region"))
        .agg(
            trx=pl.col("trx").sum() * PROJECTION,
            nrx=pl.col("treatment_initiated").sum() * PROJECTION,
            conversion_rate=pl.col("treatment_initiated").mean(),
            hcp_engagement_score=pl.col("engagement_score").mean(),
            sample_size=pl.len(),
        )
    )  # fmt: skip
    wide = _grid(journeys, calendar, months).join(measured, on=by, how="left").sort(by)
    wide = wide.with_columns(
        market_share=_market_share(rng, wide, calendar), sample_size=pl.col("sample_size").fill_null(0)
    )
    figures = wide.with_columns(pl.col(METRICS).cast(pl.Float64)).unpivot(
        METRICS, index=[*by, "sample_size"], variable_name="metric_name"
    )
    plan = pl.col("value").mean().over("metric_name", "brand", "region")
    stretch = pl.Series(rng.uniform(1.02, 1.12, figures.height))
    return (
        figures.with_columns(pl.col("value").round(4), target=(plan * stretch).round(4))
        .with_columns(
            achievement_rate=pl.when(pl.col("target") > 0).then((pl.col("value") / pl.col("target")).round(4))
        )
        .sort(*by, "metric_name")
    )


def _grid(journeys: pl.DataFrame, calendar: Calendar, months: int) -> pl.DataFrame:
    """Every month, brand and region."""
    all_months = pl.date_range(calendar.first_month, calendar.last_diagnosis, "1mo", eager=True)
    dates = pl.DataFrame({"metric_date": all_months.tail(months)})
    brands = journeys.select("brand").unique().sort("brand")
    return dates.join(brands, how="cross").join(pl.DataFrame({"region": REGIONS}), how="cross")


def _market_share(rng: Rng, wide: pl.DataFrame, calendar: Calendar) -> pl.Series:
    base = wide["brand"].replace_strict(MARKET_SHARE, return_dtype=pl.Float64)
    growth = 1 + 0.005 * (wide["metric_date"] - calendar.first_month).dt.total_days() / 30
    return (base * growth * pl.Series(1 + 0.05 * rng.standard_normal(wide.height))).clip(0, 1)


@dataclass(frozen=True)
class Path:
    """A cause and an effect of the population, and how many edges lie between them."""

    source: str
    target: str
    length: int = 1


PATHS = (
    Path("disease_severity", "hcp_engaged"),
    Path("academic_hcp", "hcp_engaged"),
    Path("engagement_score", "hcp_engaged"),
    Path("disease_severity", "treatment_initiated"),
    Path("disease_severity", "treatment_initiated", length=2),
    Path("hcp_engaged", "treatment_initiated"),
)


def causal_paths(rng: Rng, journeys: pl.DataFrame, calendar: Calendar, quarters: int) -> pl.DataFrame:
    """A finding per path, brand and quarter: the brand's figure, blurred as a study of that size would.

    The effect of `hcp_engaged` on the outcome is the true average effect; the others are correlations, along
    a path of two edges their product.
    """
    strengths = journeys.group_by("brand", maintain_order=True).agg(
        _strength(path).alias(str(i)) for i, path in enumerate(PATHS)
    )
    names = pl.DataFrame(
        {
            "path": [str(i) for i in range(len(PATHS))],
            "source_node": [path.source for path in PATHS],
            "target_node": [path.target for path in PATHS],
            "path_length": [path.length for path in PATHS],
        }
    )
    begun = pl.date_range(calendar.first_month, calendar.last_diagnosis, "3mo", eager=True)
    ends = begun.dt.offset_by("3mo").tail(quarters)
    grid = strengths.unpivot(index="brand", variable_name="path", value_name="strength").join(
        names, on="path"
    )
    grid = grid.join(pl.DataFrame({"discovery_date": ends}), how="cross").sort(
        "discovery_date", "brand", "path"
    )
    blur = pl.Series(0.03 * rng.standard_normal(grid.height))
    method = (
        pl.when(pl.col("source_node") == "hcp_engaged").then(pl.lit("aipw")).otherwise(pl.lit("correlation"))
    )
    return grid.with_columns(
        causal_effect_size=(pl.col("strength") + blur).clip(-1, 1).round(4),
        confidence_level=pl.Series(np.round(rng.uniform(0.80, 0.99, grid.height), 3)),
        method_used=method,
    )


def _strength(path: Path) -> pl.Expr:
    if path.source == "hcp_engaged":
        return (pl.col("p1") - pl.col("p0")).mean()
    if path.length == 2:
        return pl.corr(path.source, "hcp_engaged") * pl.corr("hcp_engaged", path.target)
    return pl.corr(path.source, path.target)
