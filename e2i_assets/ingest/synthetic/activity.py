"""What systems around a journey produced: scores of earlier models and suggestions to the field force."""

from __future__ import annotations

import numpy as np
import polars as pl

from e2i_assets.contracts.levels import PREDICTION_TYPES
from e2i_assets.ingest.synthetic.draws import Rng, labels

REACH_DAYS = 90
"""Activity falls within this many days around the index date."""

SCORES = {"propensity": 0.35, "risk": 0.65, "trigger": 0.40, "churn": 0.20, "next_best_action": 0.50}
"""Mean score of each prediction type at average severity and engagement."""

BEFORE = {"prescription_opportunity": 0.40, "engagement_gap": 0.25, "competitive_threat": 0.15,
          "cross_sell": 0.10, "reactivation": 0.10}  # fmt: skip
AFTER = {"adherence_risk": 0.40, "churn_prevention": 0.25, "cross_sell": 0.15, "treatment_switch": 0.12,
         "engagement_gap": 0.08}  # fmt: skip
"""Trigger types for a patient not yet on the brand, and for one who is."""
PRIORITY = {"critical": 0.10, "high": 0.30, "medium": 0.40, "low": 0.20}
CHANNEL = {"email": 0.30, "crm": 0.25, "mobile": 0.15, "portal": 0.10, "rep_alert": 0.20}
DELIVERY = {"pending": 0.10, "delivered": 0.60, "viewed": 0.25, "failed": 0.05}
ACCEPTANCE = {"pending": 0.15, "accepted": 0.50, "rejected": 0.20, "expired": 0.15}


def _moments(rng: Rng, population: pl.DataFrame, count: int) -> pl.DataFrame:
    """`count` rows of random patients, each with a day (`offset` from the index date) under observation."""
    rows = rng.integers(0, population.height, count)
    first = -np.minimum(REACH_DAYS, population["lookback"].to_numpy()[rows])
    last = np.minimum(REACH_DAYS, population["followup"].to_numpy()[rows])
    chosen = population.select(
        "patient_journey_id", "patient_id", "hcp_id", "diagnosis_date", "disease_severity",
        "engagement_score", "treatment_initiated", "days_to_treatment",
    )[rows]  # fmt: skip
    on_brand = pl.col("treatment_initiated") & (pl.col("offset") >= pl.col("days_to_treatment"))
    return chosen.with_columns(offset=rng.integers(first, last)).with_columns(
        day=pl.col("diagnosis_date") + pl.duration(days="offset"), on_brand=on_brand.fill_null(value=False)
    )


def draw_predictions(rng: Rng, population: pl.DataFrame, count: int) -> pl.DataFrame:
    """`count` scores without identifiers: rough models, seeing severity and engagement through noise."""
    moments = _moments(rng, population, count)
    n = moments.height
    kind = pl.Series(labels(rng, n, dict.fromkeys(PREDICTION_TYPES, 1.0)))
    centre = kind.replace_strict(SCORES, return_dtype=pl.Float64)
    signal = (pl.col("disease_severity") - 5) / 2 * 0.4 + (pl.col("engagement_score") - 5) / 2 * 0.4
    # A churn score falls where the others rise.
    direction = pl.Series(np.where(kind == "churn", -1.0, 1.0))
    noise = pl.Series(0.9 * rng.standard_normal(n))
    log_odds = (centre / (1 - centre)).log() + direction * signal + noise
    return moments.with_columns(
        prediction_type=kind,
        prediction_timestamp=pl.col("day").cast(pl.Datetime("us", "UTC"))
        + pl.duration(seconds=pl.lit(pl.Series(rng.integers(0, 86_400, n)))),
        prediction_value=(1 / (1 + (-log_odds).exp())).round(4),
        confidence_score=pl.Series(np.round(rng.uniform(0.60, 0.95, n), 4)),
        model_version=pl.format("v{}.{}", _years(pl.col("day")) + 1, pl.col("day").dt.quarter()),
    ).sort("patient_journey_id", "prediction_timestamp", "prediction_type")


def _years(day: pl.Expr) -> pl.Expr:
    """Calendar years since the first."""
    return day.dt.year() - day.dt.year().min()


def draw_triggers(rng: Rng, population: pl.DataFrame, count: int) -> pl.DataFrame:
    """`count` suggestions without identifiers, of a type that fits whether the patient is on the brand."""
    moments = _moments(rng, population, count)
    n = moments.height
    before, after = pl.Series(labels(rng, n, BEFORE)), pl.Series(labels(rng, n, AFTER))
    lead = pl.lit(pl.Series(rng.integers(3, 30, n)))
    decision = pl.Series(labels(rng, n, ACCEPTANCE))
    arrived = pl.col("delivery_status").is_in(["delivered", "viewed"])
    accepted = pl.col("acceptance_status") == "accepted"
    return (
        moments.with_columns(
            trigger_date="day",
            trigger_type=pl.when("on_brand").then(after).otherwise(before),
            priority=pl.Series(labels(rng, n, PRIORITY)),
            confidence_score=pl.Series(np.round(np.clip(rng.normal(0.76, 0.08, n), 0.5, 0.99), 3)),
            lead_time_days=lead,
            expiration_date=pl.col("day") + pl.duration(days=lead),
            delivery_channel=pl.Series(labels(rng, n, CHANNEL)),
            delivery_status=pl.Series(labels(rng, n, DELIVERY)),
        )
        .with_columns(acceptance_status=pl.when(arrived).then(decision).otherwise(pl.lit("pending")))
        .with_columns(
            outcome_value=pl.when(accepted)
            .then(pl.Series(np.round(rng.beta(3, 3, n), 3)))
            .when(pl.col("acceptance_status") != "pending")
            .then(0.0)
        )
        .sort("patient_journey_id", "trigger_date", "trigger_type", "confidence_score")
    )
