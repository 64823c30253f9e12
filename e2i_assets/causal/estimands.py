"""Whose effect it is, and the doubly robust estimate of it from cross-fitted nuisances.

A binary treatment: augmented inverse-probability weighting for a population weighted by h(e), e the
propensity (Hirano, Imbens and Ridder 2003; Crump et al. 2006). The score has the derivative of h as well,
because e is estimated: for the treated it is the usual score of the effect on the treated, for the overlap
weights that of the residuals on residuals.

A dose: the average of the slopes, with the slope linear in the covariates (`ate`), or the partially linear
coefficient of residuals on residuals, which weights rows by how much of their dose is open (`ato`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from e2i_assets.causal.data import CausalData
from e2i_assets.causal.nuisance import Nuisances
from e2i_assets.causal.report import Effect, Estimand

INSIDE = (0.05, 0.95)
"""Propensities that `trimmed` keeps, and that the report of the overlap counts."""

Weight = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _everyone(e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ones_like(e), np.zeros_like(e)


def _treated(e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return e, np.ones_like(e)


def _overlap(e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return e * (1 - e), 1 - 2 * e


def _inside(e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return ((e >= INSIDE[0]) & (e <= INSIDE[1])).astype(float), np.zeros_like(e)


POPULATIONS: Mapping[Estimand, Weight] = {
    "ate": _everyone, "att": _treated, "ato": _overlap, "trimmed": _inside,
}  # fmt: skip
"""Estimand to the weight of a row by its propensity, and the derivative of that."""


def by_cluster(values: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Sums of rows over each cluster, (clusters, …); the rows themselves where each stands for itself."""
    if clusters is None:
        return values
    names, number = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, number, values)
    return sums


@dataclass(frozen=True, eq=False)
class Scores:
    """One estimate and the influence on it of each row, or of each cluster of rows: its standard error is
    that of their mean.

    Where few rows carry much weight their residuals say too little of it. Then `expected` holds, the standard
    error that the propensities of all rows let expect.
    """

    estimate: float
    influence: np.ndarray
    expected: float = 0.0

    @property
    def standard_error(self) -> float:
        """Of the estimate, the larger of the two."""
        n = len(self.influence)
        return max(float(np.sqrt((self.influence**2).sum() / (n * (n - 1)))), self.expected)


def scores_of(estimate: float, influence: np.ndarray, clusters: np.ndarray | None) -> Scores:
    """Of the influence of each row: rows of one cluster count together, as what is alike in them would (Liang
    and Zeger 1986).
    """
    sums = by_cluster(influence, clusters)
    return Scores(estimate, sums * (len(sums) / len(influence)))


def arm_scores(
    data: CausalData, nuisances: Nuisances, repeat: int, estimand: Estimand
) -> tuple[Scores, Scores]:
    """Mean outcome without and with the treatment, in the population of the estimand."""
    e, t = nuisances.propensity[repeat], data.t
    h, slope = POPULATIONS[estimand](e)
    weight = h + slope * (t - e)
    y = np.nan_to_num(data.y)
    means = []
    for inside, probability, expected in (
        (1 - t, (1 - e) * nuisances.known_control[repeat], nuisances.control[repeat]),
        (t, e * nuisances.known_treated[repeat], nuisances.treated[repeat]),
    ):
        score = weight * expected + h * inside * data.known / probability * (y - expected)
        mean = score.sum() / weight.sum()
        means.append(scores_of(float(mean), (score - weight * mean) / weight.mean(), data.clusters))
    return means[0], means[1]


def difference(data: CausalData, nuisances: Nuisances, repeat: int, estimand: Estimand) -> Scores:
    """Effect as a difference of means; of a dose for one unit more of it."""
    if data.treatment_kind == "continuous":
        return slope(data, nuisances, repeat, estimand)
    control, treated = arm_scores(data, nuisances, repeat, estimand)
    estimate = treated.estimate - control.estimate
    return Scores(
        estimate,
        treated.influence - control.influence,
        _expected_error(data, nuisances, repeat, estimand, estimate),
    )


def _expected_error(
    data: CausalData, nuisances: Nuisances, repeat: int, estimand: Estimand, effect: float
) -> float:
    """Standard error by what each row would add on average over who is treated, given its propensity."""
    e, t = nuisances.propensity[repeat], data.t
    h, _ = POPULATIONS[estimand](e)
    y = np.nan_to_num(data.y)
    variance = (h * (nuisances.treated[repeat] - nuisances.control[repeat] - effect)) ** 2
    for inside, probability, expected in (
        (1 - t, (1 - e) * nuisances.known_control[repeat], nuisances.control[repeat]),
        (t, e * nuisances.known_treated[repeat], nuisances.treated[repeat]),
    ):
        weight = h * inside * data.known / probability
        residual = (weight * (y - expected) ** 2).sum() / weight.sum() if weight.sum() > 0 else 0.0
        variance = variance + h**2 * residual / probability
    return float(np.sqrt(variance.mean() / len(y)) / h.mean())


def log_ratio(data: CausalData, nuisances: Nuisances, repeat: int, estimand: Estimand) -> Scores | None:
    """Logarithm of the ratio of means; None where one of them is not above zero,
    or is expected to be though none was seen in its arm.
    """
    control, treated = arm_scores(data, nuisances, repeat, estimand)
    seen = [data.y[data.known & (data.t == arm)].any() for arm in (0, 1)]
    if min(control.estimate, treated.estimate) <= 0 or not all(seen):
        return None
    return Scores(
        float(np.log(treated.estimate / control.estimate)),
        treated.influence / treated.estimate - control.influence / control.estimate,
    )


def slope(data: CausalData, nuisances: Nuisances, repeat: int, estimand: Estimand) -> Scores:
    """Effect of one unit more of a dose."""
    known = data.known
    clusters = None if data.clusters is None else data.clusters[known]
    unit = float(data.t.std())  # what is shrunk must not depend on the unit of the dose
    dose = (data.t - nuisances.propensity[repeat])[known] / unit
    outcome = (data.y - nuisances.outcome[repeat])[known]
    constant = float((dose * outcome).sum() / (dose**2).sum())
    if estimand == "ato":
        influence = dose * (outcome - constant * dose) / (dose**2).mean()
        return scores_of(constant / unit, influence / unit, clusters)
    number, x = nuisances.folds[repeat][known], data.x[known]
    slopes, variance = np.zeros_like(dose), np.zeros_like(dose)
    for fold in np.unique(number):
        out = number == fold
        slopes[out] = _slopes(x[~out], dose[~out], outcome[~out], x[out])
        variance[out] = _variance(x[~out], dose[~out], x[out])
    score = slopes + dose / variance * (outcome - slopes * dose)
    return scores_of(float(score.mean()) / unit, (score - score.mean()) / unit, clusters)


def unadjusted(data: CausalData) -> Effect:
    """What the arms differ by, or the slope on the dose, as if by lot."""
    known = data.known
    t, y = data.t[known], data.y[known]
    dose = t - t.mean()
    estimate = float((dose * y).sum() / (dose**2).sum())
    influence = dose * (y - y.mean() - estimate * dose) / (dose**2).mean()
    scores = scores_of(estimate, influence, None if data.clusters is None else data.clusters[known])
    return as_effect(estimate, scores.standard_error, len(scores.influence))


def _slopes(x: np.ndarray, dose: np.ndarray, outcome: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Slope of each row, linear in its covariates and shrunk towards the constant one."""
    from sklearn.linear_model import RidgeCV

    constant = float((dose * outcome).sum() / (dose**2).sum())
    if not x.shape[1]:
        return np.full(len(rows), constant)
    model = RidgeCV(alphas=np.logspace(0, 5, 11), fit_intercept=False)
    model.fit(x * dose[:, None], outcome - constant * dose)
    return constant + model.predict(rows)


def _variance(x: np.ndarray, dose: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What is open of the dose of each row, never less than a fifth of what is open on average."""
    from sklearn.linear_model import RidgeCV

    mean = float((dose**2).mean())
    if not x.shape[1]:
        return np.full(len(rows), mean)
    model = RidgeCV(alphas=np.logspace(0, 5, 11)).fit(x, dose**2)
    return np.clip(model.predict(rows), mean / 5, mean * 5)


def over_repeats(scores: list[Scores]) -> tuple[float, float]:
    """Estimate and standard error over cross-fits of different folds (Chernozhukov et al. 2018, def. 3.3)."""
    estimates = np.array([score.estimate for score in scores])
    median = float(np.median(estimates))
    errors = np.array([score.standard_error for score in scores])
    return median, float(np.sqrt(np.median(errors**2 + (estimates - median) ** 2)))


def as_effect(estimate: float, error: float, rows: float, scale: Callable[[float], Any] = float) -> Effect:
    """With its interval and p by Student's t of `rows` effective rows."""
    from scipy.stats import t as student

    freedom = max(rows - 1, 1)
    half = student.ppf(0.975, freedom) * error
    p = 2 * student.sf(abs(estimate) / error, freedom) if error > 0 else float(estimate == 0)
    return Effect(
        estimate=float(scale(estimate)),
        low=float(scale(estimate - half)),
        high=float(scale(estimate + half)),
        p=float(p),
        standard_error=error,
    )
