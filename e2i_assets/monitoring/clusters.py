"""Rows that are not independent of one another: one stands for each cluster, such as a patient's journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from e2i_assets.monitoring.errors import DriftError

if TYPE_CHECKING:
    import pandas as pd

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
    if cluster not in frame.columns:
        raise DriftError("unknown_column", f"the frame has no column {cluster} to tell clusters by")
    order = np.random.default_rng(SEED).permutation(len(frame))
    drawn = frame[cluster].iloc[order]
    first = order[~(drawn.duplicated() & drawn.notna()).to_numpy()]
    return frame.iloc[np.sort(first)]
