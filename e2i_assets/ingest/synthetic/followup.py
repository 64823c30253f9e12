"""What became of patients in the follow-up window: whether therapy was stopped, prescriptions, value.

Each outcome has a true mean given the covariates and the realised treatment (`TRUE_MEANS`), which the best of
all models would predict; what is drawn around it no model can know.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.draws import Rng
from e2i_assets.ingest.synthetic.profiles import Profile, standard

TRUE_MEANS = {
    "treatment_initiated": "p_true",
    "discontinued": "p_discontinued",
    "trx_followup": "trx_mean",
    "lifetime_value": "value_mean",
}
"""Outcome to the column of its true mean; of a yes or no that is its probability."""
DRAWN = "drawn_"
"""Begins the name of the column of an outcome as it was drawn, beside its true mean."""
GAMMA_SHAPE = 12
"""Of the value around its mean: a coefficient of variation of 29 %, skewed to the right."""

_severity = standard("disease_severity", 5, 2)
_academic = standard("academic_hcp", 0.33, 1)
_engagement = standard("engagement_score", 5, 2)
_age = standard("age_at_diagnosis", 47, 16)
_comorbidity = standard("comorbidity_count", 2, 1.5)
_prior = standard("prior_treatment_count", 1.6, 1.25)
_decile = standard("decile", 5.5, 2.87)
_digital = standard("digital_engagement_score", 0.5, 0.19)
_commercial = (pl.col("insurance_type") == "commercial").cast(pl.Float64)
_medicaid = (pl.col("insurance_type") == "medicaid").cast(pl.Float64)
_engaged = pl.col("hcp_engaged").cast(pl.Float64)

# The ill stay on therapy and the burdened leave it; an engaged HCP keeps patients a little longer.
_STOPS = (
    -1.40
    - 1.05 * _severity
    - 0.65 * _academic
    - 0.90 * _engagement
    + 0.40 * _age
    + 0.18 * _age**2
    + 1.15 * _comorbidity
    + 0.90 * _prior
    + 1.00 * _medicaid
    + 0.30 * standard("years_experience", 18, 9)
    - 0.40 * _digital
    - 0.50 * _engaged
)
"""Log-odds that therapy is stopped, to which the partition adds -0.5 times its own outcome terms."""

_PRESCRIPTIONS = (
    5.2
    + 1.60 * _severity
    + 0.50 * _academic
    + 1.30 * _engagement
    + 0.25 * _severity * _engagement
    - 0.70 * _comorbidity
    + 0.60 * _prior
    + 0.60 * _commercial
    - 0.80 * _medicaid
    + 0.90 * _decile
    + 0.40 * _digital
    + 0.60 * _engaged
)
"""Prescriptions filled beside the initiation, before they are bent to stay above 0; plus 0.6 times the
partition's terms."""

_VALUE = (
    1.35
    + 0.36 * _severity
    + 0.20 * _academic
    + 0.26 * _engagement
    + 0.06 * _severity * _engagement
    - 0.18 * _age
    - 0.18 * _comorbidity
    + 0.12 * _prior
    + 0.20 * _commercial
    - 0.30 * _medicaid
    + 0.14 * _decile
    + 0.20 * _engaged
)
"""Value in years of therapy at the partition's price, before it is bent; plus 0.2 times its terms."""


def _above_zero(number: pl.Expr, sharpness: float) -> pl.Expr:
    """Softplus: a large number as it is, a negative one bent to just above 0."""
    return (1 + (sharpness * number).exp()).log() / sharpness


def with_followup(rng_of: Callable[[str], Rng], profile: Profile, population: pl.DataFrame) -> pl.DataFrame:
    """The patients with what became of them.

    Adds the columns of `TRUE_MEANS` but the first, and the outcomes `discontinued`, `trx_followup` and
    `lifetime_value` (USD): null where nobody hears of the patient, where the follow-up window was not
    observed to its end, and `discontinued` where no therapy was taken that could be stopped.

    Args:
        rng_of: the random stream of an outcome.
        population: patients with covariates, `followup` and the outcomes of `outcome.with_outcomes`.
    """
    n = population.height
    true = population.with_columns(
        p_discontinued=1 / (1 + (0.5 * profile.outcome - _STOPS).exp()),
        trx_mean=pl.col("p_true") + 0.2 + _above_zero(_PRESCRIPTIONS + 0.6 * profile.outcome, 2),
        value_mean=profile.price * (0.15 + _above_zero(_VALUE + 0.2 * profile.outcome, 3)),
    )
    stopped = rng_of("discontinued").random(n) < true["p_discontinued"].to_numpy()
    further = rng_of("trx_followup").poisson((true["trx_mean"] - true["p_true"]).to_numpy())
    value = true["value_mean"].to_numpy() * rng_of("lifetime_value").gamma(GAMMA_SHAPE, 1 / GAMMA_SHAPE, n)
    initiated = pl.col("treatment_initiated")
    heard_of = initiated.is_not_null() & (pl.col("followup") >= profile.followup_days)
    on_therapy = initiated | (pl.col("prior_treatment_count") > 0)
    return true.with_columns(
        discontinued=pl.when(heard_of & on_therapy).then(pl.Series(stopped)),
        trx_followup=pl.when(heard_of).then(pl.Series(further) + initiated.cast(pl.Int64)),
        lifetime_value=pl.when(heard_of).then(pl.Series(np.round(value, 2))),
    )
