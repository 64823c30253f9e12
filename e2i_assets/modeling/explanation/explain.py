"""What a model has learnt: which features move its score, which way, and which of them together.

What is kept and drawn is of groups of patients, never of one: `explain` tells of a single row, and its caller
must not write that down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from e2i_assets.cohorts.small_cells import MINIMUM_CELL_COUNT, Cells
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.explanation.shapley import affordable_rows, attribute, scored
from e2i_assets.modeling.preprocessing.preprocessor import MISSING

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from e2i_assets.modeling.training.model import TrainedModel

ROWS = 500
"""Of train and validation that are explained at most."""
DRAWN = 10
"""Features whose groups are told."""
BINS = 6
MISSING_SAID = "missing"
PAIRED = 6
"""The most important features, of which each pair is looked at."""
POINTS, BACKGROUND = 30, 60
"""Rows at which a pair's effect is taken, and rows that it is averaged over."""


@dataclass(frozen=True)
class Group:
    """Patients with like values of a feature.

    Attributes:
        label: mean of the values, to three digits, or the level.
        place: where the group stands among those of the feature, from 0 (low) to 1 (high); None of levels.
        rows: so many, to a multiple of the minimum cell count.
        effects: mean SHAP value, for each output.
    """

    label: str
    place: float | None
    rows: int
    effects: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """What a model has learnt, of groups of patients alone.

    Attributes:
        scale: what the score is that SHAP values add up to, in words.
        outputs: the classes, where there are several; else one without a name.
        importance: mean |SHAP value| of each raw feature, the mean over outputs, largest first.
        groups: of the most important features.
        interactions: pairs of the most important features by how far their joint effect is from the sum of
            their own, in units of the score, largest first: the root mean square of the difference of partial
            dependences (Friedman's H, not divided by the joint effect). None of a model that adds up.
        rows: so many of train and validation were explained.
    """

    scale: str
    outputs: tuple[str, ...]
    importance: Mapping[str, float]
    groups: Mapping[str, tuple[Group, ...]]
    interactions: tuple[tuple[str, str, float], ...]
    rows: int


@dataclass(frozen=True)
class RowExplanation:
    """Why one row got its prediction.

    Attributes:
        prediction: of the model, with its calibration.
        base: score before any feature is known, for each output.
        effects: feature to its SHAP value, for each output; the largest first.
        values: feature to its value.
    """

    scale: str
    outputs: tuple[str, ...]
    prediction: tuple[float, ...]
    base: tuple[float, ...]
    effects: Mapping[str, tuple[float, ...]]
    values: Mapping[str, float | str | None]


def explain(model: TrainedModel, row: pd.DataFrame, background: pd.DataFrame) -> RowExplanation:
    """Take the prediction of one raw row apart. It is patient data: show it, and write it nowhere.

    Args:
        background: raw rows of train, whose mean a linear model's values are distances from.

    Raises:
        ValueError: not one row.
        NotExplainedError: the algorithm has no SHAP values here.
    """
    if len(row) != 1:
        raise ValueError(f"{len(row)} rows; one is explained at a time")
    attribution = attribute(model.pipeline, row, background)
    order = np.argsort(-np.abs(attribution.values[0]).mean(axis=1), kind="stable")
    names = [attribution.features[i] for i in order]
    return RowExplanation(
        scale=attribution.scale,
        outputs=_outputs(model, len(attribution.base)),
        prediction=tuple(np.ravel(model.predict(row)).tolist()),
        base=tuple(attribution.base.tolist()),
        effects={attribution.features[i]: tuple(attribution.values[0, i].tolist()) for i in order},
        values={name: None if pd.isna(value := row[name].iloc[0]) else value for name in names},
    )


def explain_model(
    model: TrainedModel,
    train: LabelledSplit,
    validation: LabelledSplit,
    *,
    seed: int,
    minimum_cell_count: int = MINIMUM_CELL_COUNT,
) -> Explanation:
    """Explain a sample of train and validation.

    Args:
        seed: of the sample; with it the explanation is reproducible.
        minimum_cell_count: patients below whom a group is left out.

    Raises:
        NotExplainedError: the algorithm has no SHAP values here.
    """
    X, patients = _sample(train, validation, affordable_rows(model.pipeline, ROWS), seed)
    attribution = attribute(model.pipeline, X, X)
    means = pd.Series(np.abs(attribution.values).mean(axis=(0, 2)), index=list(attribution.features))
    importance = means.sort_values(ascending=False, kind="stable")
    columns = {name: attribution.values[:, i] for i, name in enumerate(attribution.features)}
    shown = [str(name) for name in importance.index[:DRAWN] if importance[name] > 0]
    return Explanation(
        scale=attribution.scale,
        outputs=_outputs(model, len(attribution.base)),
        importance={str(name): float(value) for name, value in importance.items()},
        groups={name: _groups(X[name], columns[name], patients, minimum_cell_count) for name in shown},
        interactions=_interactions(model.pipeline, X, shown[:PAIRED]),
        rows=len(X),
    )


def _outputs(model: TrainedModel, outputs: int) -> tuple[str, ...]:
    return model.labels if outputs > 1 else ("",)


def _sample(
    train: LabelledSplit, validation: LabelledSplit, most: int, seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    X = pd.concat([train.X, validation.X], ignore_index=True)
    patients = [
        np.array([f"{split.name} {i}" for i in range(len(split.X))])
        if split.patients is None
        else split.patients
        for split in (train, validation)
    ]
    rows = np.random.default_rng(seed).permutation(len(X))[:most]
    return X.iloc[rows].reset_index(drop=True), np.concatenate(patients)[rows]


def _groups(
    values: pd.Series, effects: np.ndarray, patients: np.ndarray, minimum_cell_count: int
) -> tuple[Group, ...]:
    """Groups of patients by value; those of too few are left out."""
    numeric = pd.api.types.is_numeric_dtype(values)
    groups = []
    for key, rows in _binned(values, numeric).items():
        if len(np.unique(patients[rows])) < minimum_cell_count:
            continue
        known = numeric and key != MISSING
        label = f"{values.iloc[rows].mean():.3g}" if known else MISSING_SAID if key == MISSING else str(key)
        size = Cells(minimum_cell_count).rounded(len(rows))  # else a group that is left out were the rest
        groups.append((float(key) if known else None, label, size, effects[rows].mean(axis=0).tolist()))
    highest = max((place for place, *_ in groups if place is not None), default=0.0) or 1.0
    return tuple(
        Group(label, None if place is None else place / highest, rows, tuple(means))
        for place, label, rows, means in groups
    )


def _binned(values: pd.Series, numeric: bool) -> dict[float | str, np.ndarray]:
    """Row numbers by place in the order of values, by level, or of the missing, which come last."""
    if not numeric:
        keys = values.astype(object).where(values.notna(), MISSING).astype(str)
        counts = keys.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        return {level: np.flatnonzero(keys == level) for level in counts.index[:BINS]}
    if values.nunique() <= BINS:
        codes = values.rank(method="dense") - 1
    else:
        codes = pd.qcut(values, BINS, labels=False, duplicates="drop")
    binned: dict[float | str, np.ndarray] = {
        float(code): np.flatnonzero(codes == code) for code in sorted(codes.dropna().unique())
    }
    if values.isna().any():
        binned[MISSING] = np.flatnonzero(values.isna())
    return binned


def _interactions(
    pipeline: Pipeline, X: pd.DataFrame, names: Sequence[str]
) -> tuple[tuple[str, str, float], ...]:
    """Each pair's distance from adding up, largest first; nothing of a model that adds up."""
    model = scored(pipeline)
    if model.additive:
        return ()
    points, background = X.iloc[:POINTS], X.iloc[-BACKGROUND:]

    def dependence(*features: str) -> np.ndarray:
        """Mean score over the background with these features as at each point, less its mean over points."""
        rows = background.iloc[np.tile(np.arange(len(background)), len(points))].reset_index(drop=True)
        for name in features:
            rows[name] = points[name].to_numpy().repeat(len(background))
        means = model.score(rows).reshape(len(points), len(background), -1).mean(axis=1)
        return means - means.mean(axis=0)

    alone = {name: dependence(name) for name in names}
    pairs = [
        (a, b, float(np.sqrt(np.mean((dependence(a, b) - alone[a] - alone[b]) ** 2))))
        for a, b in combinations(names, 2)
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair[2]))
