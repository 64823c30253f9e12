"""The patient journeys: the population as a warehouse would hold it, with stages, blanks and timestamps."""

from __future__ import annotations

from datetime import date

import polars as pl

from e2i_assets.contracts.levels import GENERATED
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.ingest.synthetic.draws import Rng, blank, conform, stamped

MISSING = {
    "diagnosis_code": 0.005, "age_at_diagnosis": 0.005, "gender": 0.01, "geographic_region": 0.015,
    "insurance_type": 0.03, "disease_severity": 0.01, "comorbidity_count": 0.02,
    "prior_treatment_count": 0.01, "academic_hcp": 0.005, "engagement_score": 0.01,
}  # fmt: skip
"""Share of values lost on the way, after the outcome was drawn; low where the outcome leans on the column."""
MISSING_ATTRIBUTE = 0.01
"""The same for every clinical attribute."""

STAGES = {
    True: {"initial_treatment": 0.38, "treatment_optimization": 0.25, "maintenance": 0.27,
           "treatment_switch": 0.07, "diagnosis": 0.03},
    False: {"diagnosis": 0.48, "initial_treatment": 0.20, "treatment_optimization": 0.08,
            "maintenance": 0.12, "treatment_switch": 0.12},
}  # fmt: skip
"""Stage at the end of observation by whether the brand was initiated: it tells the outcome in part."""
STATUSES = {
    True: {"active": 0.40, "stable": 0.42, "transitioning": 0.10, "completed": 0.08},
    False: {"active": 0.45, "stable": 0.18, "transitioning": 0.25, "completed": 0.12},
}


def patient_journeys(
    rng: Rng, population: pl.DataFrame, attributes: tuple[str, ...], as_of: date
) -> pl.DataFrame:
    """The table for one partition.

    Args:
        population: its patients with outcomes and identifiers.
        attributes: names of the clinical attributes, which go into the JSON column.
        as_of: day on which everything has arrived.
    """
    initiated = population["treatment_initiated"]
    observed = population.with_columns(
        first_observation_date=pl.col("diagnosis_date") - pl.duration(days="lookback"),
        last_observation_date=pl.col("diagnosis_date") + pl.duration(days="followup"),
        journey_stage=_by_outcome(rng, initiated, STAGES),
        journey_status=_by_outcome(rng, initiated, STATUSES),
        data_source=pl.lit(GENERATED),
    )
    stamps = stamped(rng, observed, "last_observation_date", as_of)
    blanked = blank(rng, stamps, MISSING | dict.fromkeys(attributes, MISSING_ATTRIBUTE))
    return conform(
        blanked.with_columns(clinical_attributes=pl.struct(attributes).struct.json_encode()), PatientJourneys
    )


def _by_outcome(rng: Rng, initiated: pl.Series, shares: dict[bool, dict[str, float]]) -> pl.Expr:
    n = len(initiated)
    yes, no = (rng.choice(list(shares[key]), n, p=list(shares[key].values())) for key in (True, False))
    return pl.when(initiated).then(pl.Series(yes)).when(~initiated).then(pl.Series(no))
