"""The data-generating processes: who is treated, what would happen with and without, and whom we hear of.

A process is a few expressions on the log-odds scale over the complete covariates of a journey; both potential
outcomes of every patient are drawn, so that the true effect is known on the scale that users observe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.draws import Rng
from e2i_assets.ingest.synthetic.profiles import Profile, standard


@dataclass(frozen=True, eq=False)
class Process:
    """A data-generating process.

    Attributes:
        propensity: log-odds of treatment (`hcp_engaged`).
        baseline: log-odds of the outcome (`treatment_initiated`) without treatment, to which the partition
            adds what its own clinical attributes contribute.
        effect: what treatment adds to the log-odds of the outcome.
        confounders: columns that an estimator must adjust for; empty when treatment is at random.
        selection: log-odds that the outcome becomes known, given covariates and treatment; without it every
            outcome is known.
        selected_by: columns on which that depends, for weights.
    """

    propensity: pl.Expr
    baseline: pl.Expr
    effect: pl.Expr
    confounders: tuple[str, ...] = ()
    selection: pl.Expr | None = None
    selected_by: tuple[str, ...] = ()


_severity = standard("disease_severity", 5, 2)
_academic = standard("academic_hcp", 0.33, 1)
_engagement = standard("engagement_score", 5, 2)
_age = standard("age_at_diagnosis", 47, 16)
_year = pl.col("day") / 365.25

PROGNOSIS = (
    -0.30 * _age
    - 0.12 * _age**2
    - 0.30 * standard("comorbidity_count", 2, 1.5)
    + 0.60 * standard("prior_treatment_count", 1.6, 1.25)
    + 0.30 * (pl.col("insurance_type") == "commercial").cast(pl.Float64)
    - 0.60 * (pl.col("insurance_type") == "medicaid").cast(pl.Float64)
    + 0.25 * standard("decile", 5.5, 2.87)
    - 0.15 * standard("years_experience", 18, 9)
    + 0.15 * standard("digital_engagement_score", 0.5, 0.19)
    + 0.20 * standard("history_consultation", 0.75, 0.9)
    + 0.20 * standard("history_lab_test", 0.70, 0.85)
)
"""Log-odds that predict the outcome and have no part in who is treated."""

CONFOUNDERS = ("disease_severity", "academic_hcp", "engagement_score")
_ASSIGNED = 0.60 * _severity + 0.70 * _academic + 0.65 * _engagement
_BASELINE = 0.95 * _severity + 0.70 * _academic + 0.75 * _engagement + PROGNOSIS
_AT_RANDOM = pl.lit(0.0)

PROCESSES: dict[str, Process] = {
    # Every second patient is treated by lot; without the curve in age all log-odds are linear.
    "simple_linear": Process(
        propensity=_AT_RANDOM,
        baseline=_BASELINE + 0.12 * _age**2,
        effect=pl.lit(0.8),
    ),
    "confounded": Process(
        propensity=_ASSIGNED,
        baseline=_BASELINE,
        effect=pl.lit(0.8),
        confounders=CONFOUNDERS,
    ),
    # Less of the baseline is severity here, or the severely ill would start anyway and no effect could show.
    "heterogeneous": Process(
        propensity=_ASSIGNED,
        baseline=_BASELINE - 0.55 * _severity,
        effect=pl.when(pl.col("disease_severity") > 7)
        .then(2.2)
        .when(pl.col("disease_severity") > 4)
        .then(0.9)
        .otherwise(0.2),
        confounders=CONFOUNDERS,
    ),
    # Initiations peak once a year, from the first diagnosis on, and grow from year to year; the partition
    # wears off, its effect halving each year.
    "time_series": Process(
        propensity=_ASSIGNED,
        baseline=_BASELINE + 0.8 * (2 * np.pi * _year).cos() + 0.2 * (_year - 1.25),
        effect=1.6 * (-np.log(2) * _year).exp(),
        confounders=CONFOUNDERS,
    ),
    # Treatment is at random, so that selection alone misleads: whether the brand was started is known rather
    # of the severely ill, above all the treated ones, and they are those in whom treatment does most.
    "selection_bias": Process(
        propensity=_AT_RANDOM,
        baseline=_BASELINE - 0.45 * _severity,
        effect=0.9 + 0.9 * _severity,
        selection=0.8 + (0.5 + 0.8 * pl.col("hcp_engaged").cast(pl.Float64)) * _severity,
        selected_by=("disease_severity", "hcp_engaged"),
    ),
}
"""Name of a process (`spec.Dgp`) to its equations."""


def _probability(log_odds: pl.Expr) -> pl.Expr:
    return 1 / (1 + (-log_odds).exp())


def with_outcomes(rng: Rng, process: Process, profile: Profile, patients: pl.DataFrame) -> pl.DataFrame:
    """The patients with what the process did to them, and what it could have done.

    Adds `propensity`, `hcp_engaged`; `p0`, `p1`, `y0`, `y1` (without and with treatment), `p_true` under the
    realised treatment; `p_known`, the probability that the outcome becomes known; `treatment_initiated` and
    `days_to_treatment`, both null where it does not. The two outcomes of a patient share one uniform draw.
    """
    baseline = process.baseline + profile.outcome
    n = patients.height
    chances = patients.with_columns(
        propensity=_probability(process.propensity),
        p0=_probability(baseline),
        p1=_probability(baseline + process.effect),
    )
    treated = rng.random(n) < chances["propensity"].to_numpy()
    u = pl.Series(rng.random(n))
    engaged = pl.col("hcp_engaged")
    both = chances.with_columns(hcp_engaged=treated, y0=u < chances["p0"], y1=u < chances["p1"]).with_columns(
        p_true=pl.when(engaged).then("p1").otherwise("p0"),
        p_known=pl.lit(1.0) if process.selection is None else _probability(process.selection),
        days_to_treatment=_days(rng, patients),
    )
    observed = pl.Series(rng.random(n)) < pl.col("p_known")
    outcome = pl.when(observed).then(pl.when(engaged).then("y1").otherwise("y0"))
    return both.with_columns(treatment_initiated=outcome).with_columns(
        days_to_treatment=pl.when("treatment_initiated").then("days_to_treatment")
    )


def _days(rng: Rng, patients: pl.DataFrame) -> np.ndarray:
    """Days to initiation, 7 to 89 and within follow-up, earlier ones likelier."""
    latest = np.minimum(89, patients["followup"].to_numpy())
    return 7 + np.floor(rng.random(patients.height) ** 1.3 * (latest - 6)).astype(np.int64)
