"""How a model of effects does on patients who came since: who is treated, and whether effects come true."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.estimands import INSIDE
from e2i_assets.causal.scores import Estimate, effect_scores, mean_of, ranking
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.rows import CausalRows
from e2i_assets.monitoring.drift import MINIMUM_ROWS
from e2i_assets.monitoring.model_profile import Assignment, Baseline, ModelProfile
from e2i_assets.monitoring.performance import (
    MINIMUM_OUTCOMES,
    Figure,
    severity_of_calibration,
    severity_of_loss,
    severity_of_share,
)

AVERAGE, BEYOND_PREDICTED, QINI = "average_effect", "effect_beyond_predicted", "qini"
TREATED_BEYOND_EXPECTED, OUTSIDE_OVERLAP = "treated_beyond_expected", "share_outside_overlap"
ASSUMPTION = (
    "Measured effects assume that whatever decides both treatment and outcome is among the features, as was "
    "assumed at training. Estimated ones are what the version predicts: they assume that the effect on a "
    "patient of given features is what it was, and that only who the patients are has changed."
)
_SEED = 0
_FOLDS = 5


def assigned(model: UpliftModel, rows: CausalRows, *, seed: int) -> tuple[Assignment, np.ndarray]:
    """Who is treated among these rows, and each propensity, (rows,), by a model that did not see the row."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    matrix = prepared(model, rows.frame)
    regression = LogisticRegression(max_iter=2000)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    propensity = cross_val_predict(regression, matrix, rows.t, cv=folds, method="predict_proba")[:, 1]
    regression.fit(matrix, rows.t)
    weights = tuple(regression.coef_[0].tolist())
    return Assignment(model.treatment, float(regression.intercept_[0]), weights), propensity


def prepared(model: UpliftModel, frame: pd.DataFrame) -> np.ndarray:
    """Patients as the version's preprocessor makes them, shape (rows, its columns)."""
    matrix = model.pipeline.named_steps["preprocessor"].transform(frame[list(model.features)])
    return np.asarray(matrix, dtype=float)


def assignment_baselines(
    t: np.ndarray, propensity: np.ndarray, clusters: np.ndarray | None
) -> dict[str, Baseline]:
    """How treatments followed their propensities at training, and how many patients had next to no choice."""
    figures = _assignment(t, propensity, clusters)
    return {name: Baseline(one.value, *(_ends(one) or ())) for name, one in figures.items()}


def assignment_figures(
    profile: ModelProfile, t: np.ndarray, propensity: np.ndarray, clusters: np.ndarray | None
) -> Iterator[Figure]:
    """The same of patients who came since; no outcome is needed.

    Args:
        t: 0 or 1, shape (rows,).
        propensity: by the profile's `assignment`, shape (rows,).
        clusters: number of each row's cluster, shape (rows,).
    """
    if len(t) < MINIMUM_ROWS:
        return
    for name, now in _assignment(t, propensity, clusters).items():
        baseline = profile.figures[name]
        severity = severity_of_share(now.value, _ends(now), baseline)
        yield _figure(name, now, len(t), baseline, severity)


def _assignment(t: np.ndarray, propensity: np.ndarray, clusters: np.ndarray | None) -> dict[str, Estimate]:
    outside = (propensity < INSIDE[0]) | (propensity > INSIDE[1])
    return {
        TREATED_BEYOND_EXPECTED: mean_of(t - propensity, clusters),
        OUTSIDE_OVERLAP: mean_of(outside.astype(float), clusters),
    }


def predicted_average(profile: ModelProfile, effects: np.ndarray) -> Iterator[Figure]:
    """The average of the effects that are predicted for patients who came since."""
    if len(effects) >= MINIMUM_ROWS:
        yield Figure(AVERAGE, float(effects.mean()), "estimated", len(effects), profile.figures[AVERAGE])


def effect_figures(
    profile: ModelProfile, rows: CausalRows, effects: np.ndarray, unavailable: dict[str, str]
) -> Iterator[Figure]:
    """Effects measured on patients whose outcome is known, against those that were predicted for them.

    Doubly robust scores, with nuisances that are cross-fitted on these patients alone: what confounds
    treatment and outcome must be among the features as it was at training.

    Args:
        rows: patients who came since, with a known outcome.
        effects: predicted for them, shape (rows,).
        unavailable: takes what these rows cannot tell, and why.
    """
    y, t, clusters = rows.y, rows.t, rows.cluster_numbers
    if len(y) < MINIMUM_OUTCOMES:
        unavailable["effect"] = f"not yet {MINIMUM_OUTCOMES} outcomes of new patients are known"
        return
    try:
        report = rows.effect(seed=_SEED)
    except CausalDataError as error:
        unavailable["effect"] = str(error)
        return
    if report.effect is None:
        unavailable["effect"] = report.explanation
        return
    scores = effect_scores(y, t, rows.nuisance(seed=_SEED).expected)
    average = report.effect
    yield _figure(
        AVERAGE, Estimate(average.estimate, average.low, average.high), len(y), profile.figures[AVERAGE]
    )
    beyond, baseline = mean_of(scores - effects, clusters), profile.figures.get(BEYOND_PREDICTED)
    if baseline is not None:
        severity = severity_of_calibration(_ends(beyond), baseline, 0.0)
        yield _figure(BEYOND_PREDICTED, beyond, len(y), baseline, severity)
    if np.ptp(effects) == 0:
        unavailable[QINI] = "everybody is predicted the same effect, so nobody is ranked"
    elif QINI in profile.figures:
        ranked, baseline = ranking(effects, scores, clusters, seed=_SEED).qini, profile.figures[QINI]
        severity = severity_of_loss(ranked.value, _ends(ranked), baseline, greater_is_better=True)
        yield _figure(QINI, ranked, len(y), baseline, severity)


def _ends(figure: Estimate) -> tuple[float, float] | None:
    """Of its interval; None where too few rows, or clusters of rows, have any."""
    return (float(figure.low), float(figure.high)) if np.isfinite(figure.low) else None


def _figure(name: str, now: Estimate, rows: int, baseline: Baseline, severity: str = "none") -> Figure:
    low, high = _ends(now) or (None, None)
    return Figure(name, float(now.value), "measured", rows, baseline, low, high, severity)
