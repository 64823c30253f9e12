"""The data-generating processes: who is treated, and what would happen with and without treatment.

A process is three expressions on the log-odds scale over the complete covariates of a journey; both potential
outcomes of every patient are drawn, so that the true effect is known on the scale that users observe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.draws import Rng
from e2i_assets.ingest.synthetic.programmes import Profile, standard


@dataclass(frozen=True, eq=False)
class Process:
    """A data-generating process.

    Attributes:
        propensity: log-odds of treatment (`hcp_engaged`).
        baseline: log-odds of the outcome (`treatment_initiated`) without treatment, to which the programme
            adds what its own clinical attributes contribute.
        effect: what treatment adds to the log-odds of the outcome.
    """

    propensity: pl.Expr
    baseline: pl.Expr
    effect: pl.Expr


_severity = standard("disease_severity", 5, 2)
_academic = standard("academic_hcp", 0.33, 1)
_engagement = standard("engagement_score", 5, 2)
_age = standard("age_at_diagnosis", 47, 16)

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

PROCESSES: dict[str, Process] = {
    "confounded": Process(
        propensity=0.60 * _severity + 0.70 * _academic + 0.65 * _engagement,
        baseline=0.95 * _severity + 0.70 * _academic + 0.75 * _engagement + PROGNOSIS,
        effect=pl.lit(0.8),
    ),
}
"""Name of a process (`spec.Dgp`) to its equations."""


def _probability(log_odds: pl.Expr) -> pl.Expr:
    return 1 / (1 + (-log_odds).exp())


def with_outcomes(rng: Rng, process: Process, profile: Profile, patients: pl.DataFrame) -> pl.DataFrame:
    """The patients with `propensity`, `hcp_engaged`, `p0`, `p1`, `y0`, `y1`, `p_true`, `treatment_initiated`.

    Both outcomes share one uniform draw per patient; the last two columns belong to the realised treatment.
    """
    baseline = process.baseline + profile.outcome
    chances = patients.with_columns(
        propensity=_probability(process.propensity),
        p0=_probability(baseline),
        p1=_probability(baseline + process.effect),
    )
    treated = rng.random(patients.height) < chances["propensity"].to_numpy()
    u = pl.Series(rng.random(patients.height))
    engaged = pl.col("hcp_engaged")
    return (
        chances.with_columns(hcp_engaged=treated, y0=u < chances["p0"], y1=u < chances["p1"])
        .with_columns(
            p_true=pl.when(engaged).then("p1").otherwise("p0"),
            treatment_initiated=pl.when(engaged).then("y1").otherwise("y0"),
        )
        .with_columns(days_to_treatment=_days(rng, patients))
        .with_columns(days_to_treatment=pl.when("treatment_initiated").then("days_to_treatment"))
    )


def _days(rng: Rng, patients: pl.DataFrame) -> np.ndarray:
    """Days to initiation, 7 to 89 and within follow-up, earlier ones likelier."""
    latest = np.minimum(89, patients["followup"].to_numpy())
    return 7 + np.floor(rng.random(patients.height) ** 1.3 * (latest - 6)).astype(np.int64)
