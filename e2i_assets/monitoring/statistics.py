"""Tests of two samples by their counts in cells, and the sizes of effects beyond what chance gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

EXPECTED = 5.0
"""Rows that a cell must be expected to have on the smaller side to be compared by itself."""


def comparable_cells(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts of two samples with the cells merged that are too small to be compared.

    Cells are chosen by the counts of both sides together: chosen by one side alone, those that were small
    there by chance would look as if they had grown.
    """
    n, m = reference.sum(), current.sum()
    together = reference + current
    expected = together * min(n, m) / max(n + m, 1)
    large = expected >= EXPECTED
    if large.all() or not large.any():
        return (reference, current) if large.all() else (np.array([n]), np.array([m]))
    cells = [np.append(side[large], side[~large].sum()) for side in (reference, current)]
    if expected[~large].sum() < EXPECTED:
        smallest = int(np.argmin(together[large]))
        for side in cells:
            side[smallest] += side[-1]
        return cells[0][:-1], cells[1][:-1]
    return cells[0], cells[1]


def psi(reference: np.ndarray, current: np.ndarray) -> float:
    """Population stability index of counts in the same cells; half a row is added to each cell."""
    r, c = ((side + 0.5) / (side.sum() + 0.5 * len(side)) for side in (reference, current))
    return float(((c - r) * np.log(c / r)).sum())


def psi_by_chance(cells: int, n: float, m: float) -> float:
    """What the index is expected to be for two samples of n and m rows from one distribution."""
    return max(cells - 1, 0) * (1 / n + 1 / m)


def homogeneity(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Statistic and p-value of whether two samples have the same shares of cells.

    Pearson's chi-square, and the larger of its p-value and that of the likelihood ratio with Williams'
    correction (Sokal & Rohlf 1995, eq. 17.5): far out in the tail each errs where the other does not.
    """
    from scipy import stats

    n, m = reference.sum(), current.sum()
    together, cells = reference + current, len(reference)
    if cells < 2 or not n or not m:
        return 0.0, 1.0
    observed = np.concatenate([reference, current]).astype(float)
    expected = np.concatenate([together * n, together * m]) / (n + m)
    pearson = float(((observed - expected) ** 2 / expected).sum())
    logs = np.log(np.where(observed > 0, observed / expected, 1.0))
    rows, columns = (n + m) / n + (n + m) / m - 1, (n + m) * (1 / together).sum() - 1
    correction = 1 + rows * columns / (6 * (n + m) * (cells - 1))
    ratio = 2 * float((observed * logs).sum()) / correction
    return pearson, float(stats.chi2.sf(min(pearson, ratio), cells - 1))


def trend(reference: np.ndarray, current: np.ndarray) -> float:
    """P-value of whether one of two samples has more in the later ones of ordered cells.

    Wilcoxon's rank sum with ties, as the linear trend of midranks (Agresti 2013, 3.4.5): of a shift it sees
    more than what asks for any difference of the cells.
    """
    from scipy import stats

    n, m, together = reference.sum(), current.sum(), reference + current
    midranks = np.cumsum(together) - together / 2
    mean = (together * midranks).sum() / max(n + m, 1)
    spread = (together * (midranks - mean) ** 2).sum()
    if not n or not m or not spread:
        return 1.0
    ahead = (current * midranks).sum() / m - mean
    return float(stats.chi2.sf((n + m - 1) * (n + m) * m / n * ahead**2 / spread, 1))


def kolmogorov_smirnov(distance: float, n: float, m: float) -> float:
    """P-value of the largest distance between two samples' distribution functions."""
    from scipy import stats

    return float(stats.kstwobign.sf(distance * np.sqrt(n * m / (n + m)))) if n and m else 1.0


def distance_by_chance(n: float, m: float) -> float:
    """What that distance is expected to be for two samples of one distribution."""
    return 0.8687 * float(np.sqrt(1 / n + 1 / m)) if n and m else 0.0


def same_share(k: float, n: float, j: float, m: float) -> float:
    """Fisher's exact p-value, both tails, of k of n rows against j of m, each rounded to whole rows."""
    from scipy import stats

    k, n, j, m = (round(rows) for rows in (k, n, j, m))
    both = stats.hypergeom
    tails = both.cdf(j, n + m, k + j, m), both.sf(j - 1, n + m, k + j, m)
    return float(min(1.0, 2 * min(tails)))


def benjamini_hochberg(p_values: np.ndarray, of: Sequence[str]) -> np.ndarray:
    """P-values corrected for their number (Benjamini & Hochberg 1995).

    Each column has the same weight, which its tests share (Genovese, Roeder & Wasserman 2006): those of one
    tell much the same.

    Args:
        of: the column of each.
    """
    from scipy import stats

    if not len(p_values):
        return p_values
    tests = Counter(of)
    shares = np.array([tests[name] for name in of]) * len(tests) / len(of)
    return stats.false_discovery_control(np.minimum(1.0, p_values * shares))
