"""Whether a column differs between the outcomes at all, and by how much: a plain two-sample test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.univariate import Outcome

_MIN_SIDE = 8
_MIN_LEVEL = 5
_EXACT = 500


@dataclass(frozen=True)
class Association:
    """Size of the difference, 0 to 1, and the probability of as much by chance.

    Attributes:
        measure: what the size is: largest difference of the distributions, or rank correlation.
    """

    size: float
    p: float
    measure: str


def association(coded: Coded, numbers: np.ndarray | None, outcome: Outcome) -> Association:
    """Compare a column between outcomes, by class against the rest, or by rank with a number.

    Numbers by Kolmogorov-Smirnov, other levels by chi-squared; of several classes the most different one,
    its p multiplied by their number. Missing values are a level of their own, and left out of numbers where
    these differ by themselves.
    """
    if outcome.kind == "regression":
        return _ranks(numbers if numbers is not None else coded.codes.astype(float), outcome.columns[:, 0])
    tried = []
    for hit in outcome.columns.T > 0.5:
        tried.append(_levels(coded, hit) if numbers is None else _numbers(numbers, hit))
        if coded.missing is not None:
            present = (coded.codes != coded.missing).astype(np.int64)
            tried.append(_levels(Coded(present, 2, np.ones(2, dtype=bool), None), hit))
    best = min(tried, key=lambda a: (a.p, -a.size))
    return Association(best.size, min(1.0, best.p * len(tried)), best.measure)


def _numbers(numbers: np.ndarray, hit: np.ndarray) -> Association:
    from scipy.stats import ks_2samp

    finite = np.isfinite(numbers)
    a, b = numbers[finite & hit], numbers[finite & ~hit]
    if min(len(a), len(b)) < _MIN_SIDE:
        return Association(0.0, 1.0, "no difference of distributions")
    test = ks_2samp(a, b, method="exact" if len(numbers) <= _EXACT else "asymp")
    return Association(float(test.statistic), float(test.pvalue), "largest difference of distributions")


def _levels(coded: Coded, hit: np.ndarray) -> Association:
    from scipy.stats import chi2_contingency

    counts = np.bincount(coded.codes, minlength=coded.levels)
    hits = np.bincount(coded.codes, weights=hit, minlength=coded.levels)
    table = np.column_stack([hits, counts - hits])
    small = counts < _MIN_LEVEL
    table = np.vstack([table[~small], table[small].sum(axis=0)])
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or (table.sum(axis=0) == 0).any():
        return Association(0.0, 1.0, "no difference of distributions")
    shares = table / table.sum(axis=0)
    size = float(np.abs(shares[:, 0] - shares[:, 1]).sum() / 2)
    return Association(size, float(chi2_contingency(table).pvalue), "total difference of distributions")


def _ranks(numbers: np.ndarray, target: np.ndarray) -> Association:
    from scipy.stats import spearmanr

    finite = np.isfinite(numbers)
    if finite.sum() < 2 * _MIN_SIDE or np.ptp(numbers[finite]) == 0:
        return Association(0.0, 1.0, "no rank correlation")
    test = spearmanr(numbers[finite], target[finite])
    return Association(float(abs(test.statistic)), float(test.pvalue), "rank correlation")
