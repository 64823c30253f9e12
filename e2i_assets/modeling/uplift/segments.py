"""Groups of patients by which effects are told: those of every model, and those that a scope names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from e2i_assets.causal.scores import SMALLEST_GROUP, EffectGroup, by_segment
from e2i_assets.modeling.evaluation.subgroups import NOT_KNOWN, groups_of
from e2i_assets.modeling.problems.causal_inference import CausalScope


def effect_by_segment(
    frame: pd.DataFrame,
    scope: CausalScope,
    scores: np.ndarray,
    effects: np.ndarray | None = None,
    *,
    minimum: int = SMALLEST_GROUP,
    clusters: np.ndarray | None = None,
) -> tuple[EffectGroup, ...]:
    """Effect on each segment of these rows, with its interval.

    Args:
        scores: doubly robust, of the rows.
        effects: predicted, of the rows.
        clusters: number of each row's cluster; without it each stands for itself.
        minimum: rows, of either arm, below which nothing is told of a segment.
    """
    levels = {name: _banded(frame[name], edges) for name, edges in scope.segments.items()}
    levels |= {str(name): column.astype(str) for name, column in groups_of(frame)[0].items()}
    return tuple(
        group
        for name, column in levels.items()
        for group in by_segment(
            name, column.tolist(), scores, effects, minimum=max(minimum, SMALLEST_GROUP),
            t=frame[scope.treatment].to_numpy(dtype=float), least_of_arm=minimum, clusters=clusters,
        )
    )  # fmt: skip


def _banded(values: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Segment of each value; an edge belongs to the segment that begins with it."""
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} and over",
    ]
    numbers = pd.to_numeric(values, errors="coerce")
    banded = pd.cut(numbers, [-np.inf, *edges, np.inf], right=False, labels=names).astype(object)
    return banded.where(numbers.notna(), NOT_KNOWN)
