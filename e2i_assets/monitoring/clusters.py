"""Rows that are not independent of one another: what they are worth, or one row of each cluster."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import as_text
from e2i_assets.monitoring.columns import Levels, Values
from e2i_assets.monitoring.errors import DriftError

SEED = 0


def one_of_each(frame: pd.DataFrame, cluster: str) -> pd.DataFrame:
    """One row of each cluster, drawn, in the order of the frame; a row without a cluster is one by itself.

    Tests take rows for independent: rows that are alike because they are of one patient would make chance
    look like drift.

    Args:
        cluster: column whose value the rows of a cluster share.

    Raises:
        DriftError: there is no such column.
    """
    _require(frame, cluster)
    order = np.random.default_rng(SEED).permutation(len(frame))
    drawn = as_text(frame[cluster]).iloc[order]
    first = order[~(drawn.duplicated() & drawn.notna()).to_numpy()]
    return frame.iloc[np.sort(first)]


def _require(frame: pd.DataFrame, cluster: str) -> None:
    if not isinstance(cluster, Hashable) or cluster not in frame.columns:
        raise DriftError("unknown_column", f"the frame has no column {cluster} to tell clusters by")


class Clusters:
    """Which rows share a cluster, such as the patients of a physician; a row without one is one by itself."""

    def __init__(self, frame: pd.DataFrame, cluster: str) -> None:
        """Read the column whose value the rows of a cluster share.

        Raises:
            DriftError: there is no such column.
        """
        _require(frame, cluster)
        codes = pd.factorize(as_text(frame[cluster]))[0]
        alone = codes < 0
        codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
        self._codes, self._sizes = codes, np.bincount(codes)

    @property
    def mean_size(self) -> float:
        """Rows of the cluster of a row, on average."""
        return float((self._sizes**2).sum() / self._sizes.sum()) if len(self._sizes) else 1.0

    def correlation(self, column: pd.Series, values: Values) -> float | None:
        """Intraclass correlation of a column, 0 to 1; None where it does not vary, or no two rows share one.

        Of numbers that of their ranks, or of being unknown if that is larger; of levels that of their
        indicators together (analysis of variance: Donner 1986).

        Args:
            values: of the column, as `read_column` reads it.
        """
        if isinstance(values, Levels):
            return self._of_levels(pd.factorize(as_text(column))[0] + 1, self._codes)
        unknown = np.isnan(values)
        of_unknown = self._of_levels(unknown.astype(int), self._codes)
        ranks, codes = pd.Series(values[~unknown]).rank().to_numpy(), self._codes[~unknown]
        sizes = np.bincount(codes)
        filled = sizes > 0
        between = (np.bincount(codes, ranks)[filled] ** 2 / sizes[filled]).sum()
        of_known = _correlation((ranks**2).sum(), between, ranks.sum() ** 2, sizes[filled])
        return max((one for one in (of_known, of_unknown) if one is not None), default=None)

    @staticmethod
    def _of_levels(levels: np.ndarray, codes: np.ndarray) -> float | None:
        sizes = np.bincount(codes)
        pairs, rows = np.unique(
            codes.astype(np.int64) * (levels.max(initial=0) + 1) + levels, return_counts=True
        )
        between = (rows**2 / sizes[pairs // (levels.max(initial=0) + 1)]).sum()
        return _correlation(len(codes), between, (np.bincount(levels).astype(float) ** 2).sum(), sizes)


def _correlation(squares: float, between: float, square_of_sum: float, sizes: np.ndarray) -> float | None:
    """From the sum of squares, that of clusters' sums over their sizes, and the square of the sum."""
    n, clusters = int(sizes.sum()), len(sizes)
    if clusters < 2 or n == clusters or np.isclose(squares, square_of_sum / n, rtol=1e-12):
        return None
    size = (n - (sizes**2).sum() / n) / (clusters - 1)
    among = max(0.0, between - square_of_sum / n) / (clusters - 1)
    within = max(0.0, squares - between) / (n - clusters)
    return float(np.clip((among - within) / (among + (size - 1) * within), 0.0, 1.0))
