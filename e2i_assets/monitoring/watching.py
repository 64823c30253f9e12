"""What has become of a version since it was trained: its data, its predictions, and how they come true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from e2i_assets.modeling.problems.base import Problem
from e2i_assets.monitoring.drift import MINIMUM_ROWS, ColumnDrift, DriftReport, detect_drift
from e2i_assets.monitoring.model_profile import Baseline, ModelProfile, predictions_frame
from e2i_assets.monitoring.performance import (
    ASSUMPTION,
    MINIMUM_OUTCOMES,
    Figure,
    expected_metrics,
    severity_of_calibration,
    severity_of_loss,
)
from e2i_assets.monitoring.profile import ReferenceProfile
from e2i_assets.monitoring.severity import SEVERITIES, WEIGHTS, worst

ACCURACY = "accuracy"
"""Judged beside the primary metric: retraining has a floor for it."""
CLUSTER = "treating HCP"
"""Column of what came that says which rows are of one HCP, and so not independent of one another."""
IDEAL = {"calibration_slope": 1.0, "calibration_intercept": 0.0}
TOLD = (
    "roc_auc", "brier", "log_loss", ACCURACY,
    *(f"{name}_at_threshold" for name in ("accuracy", "precision", "recall", "f1")),
)  # fmt: skip
"""Metrics that can be estimated without outcomes, where a problem has them."""


@dataclass(frozen=True)
class Seen:
    """What came since, of patients that the version was neither trained nor judged on.

    Attributes:
        features: of new patients, by feature, with `CLUSTER` where it is known.
        asked: features that requests came with, those that the scope lets be kept; the same.
        predicted: predictions in the shape of the problem's, of new patients or of requests.
        predicted_clusters: `CLUSTER` of each prediction; None where each stands for itself.
        left_out: features of the profile that cannot be had of new patients, and why.
        outcomes, predicted_of_known: outcomes that are known, and the predictions for them, row by row.
    """

    features: pd.DataFrame
    asked: pd.DataFrame | None = None
    predicted: np.ndarray | None = None
    predicted_clusters: np.ndarray | None = None
    outcomes: np.ndarray | None = None
    predicted_of_known: np.ndarray | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Watched:
    """What was found.

    Attributes:
        data: of the features of new patients; None where there are too few.
        asked: of the features that requests came with; None where none are kept.
        prediction: of what was predicted; None where there is too little.
        figures: performance, measured or estimated.
        unavailable: what could not be judged, and why.
        assumption: what must hold for the figures.
    """

    profile: ModelProfile
    data: DriftReport | None = None
    asked: DriftReport | None = None
    prediction: DriftReport | None = None
    figures: tuple[Figure, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
    assumption: str = ""

    def drifts(self) -> Iterator[tuple[str, ColumnDrift]]:
        """Each column that was judged, with the kind of drift that it would be."""
        reports = (("data", self.data), ("data", self.asked), ("prediction", self.prediction))
        yield from ((kind, column) for kind, report in reports if report for column in report.columns)

    @property
    def judged(self) -> bool:
        """Whether anything could be."""
        return any((self.data, self.asked, self.prediction, self.figures))

    @property
    def severity(self) -> str:
        """The worst of all."""
        return worst([*(column.severity for _, column in self.drifts()), *(f.severity for f in self.figures)])

    @property
    def severities(self) -> dict[str, str]:
        """The worst by kind: data, prediction and concept."""
        by_kind = {
            kind: [c.severity for k, c in self.drifts() if k == kind] for kind in ("data", "prediction")
        }
        return {kind: worst(of_kind) for kind, of_kind in by_kind.items()} | {
            "concept": worst(figure.severity for figure in self.figures)
        }

    @property
    def score(self) -> float:
        """Mean severity of everything that was judged, none 0 to critical 1."""
        severities = [c.severity for _, c in self.drifts()] + [f.severity for f in self.figures]
        return float(np.mean([WEIGHTS[one] for one in severities])) if severities else 0.0

    @property
    def checks(self) -> int:
        """Columns and figures that were judged."""
        return len(list(self.drifts())) + len(self.figures)

    @property
    def drifted(self) -> tuple[str, ...]:
        """What has, the worst first."""
        named = [(column.severity, column.name) for _, column in self.drifts() if column.drifted]
        named += [(figure.severity, figure.metric) for figure in self.figures if figure.severity != "none"]
        return tuple(dict.fromkeys(name for _, name in sorted(named, key=lambda f: -SEVERITIES.index(f[0]))))

    @property
    def summary(self) -> str:
        """The verdict, in words."""
        if not self.judged:
            return f"Nothing to judge yet: {'; '.join(self.unavailable.values())}."
        if not self.drifted:
            return f"No drift in {self.checks} checks."
        kinds = ", ".join(
            f"{kind} {severity}" for kind, severity in self.severities.items() if severity != "none"
        )
        names = ", ".join(self.drifted[:5]) + (", …" if len(self.drifted) > 5 else "")
        return f"Drift, {self.severity} ({kinds}): {names}."


def watch(profile: ModelProfile, seen: Seen, problem: Problem, *, alpha: float = 0.05) -> Watched:
    """Compare what came since with the profile of a version that predicts outcomes.

    Args:
        problem: what the version predicts.
        alpha: as of `detect_drift`.
    """
    unavailable: dict[str, str] = {}
    measured = tuple(_measured(profile, seen, problem, unavailable))
    estimated = tuple(_estimated(profile, seen, problem, measured, unavailable))
    assumption = ASSUMPTION if estimated else ""
    return watched(profile, seen, (*measured, *estimated), unavailable, assumption, alpha=alpha)


def watched(
    profile: ModelProfile,
    seen: Seen,
    figures: tuple[Figure, ...],
    unavailable: Mapping[str, str],
    assumption: str,
    *,
    alpha: float = 0.05,
) -> Watched:
    """What is found of data and predictions, beside figures of how a version does."""
    unjudged = {**seen.left_out}
    names = [name for name in profile.features.columns if name not in seen.left_out]
    data = _report(profile.features, seen.features, names, alpha)
    if data is None:
        unjudged["data"] = f"there are not yet {MINIMUM_ROWS} new patients"
    asked = None
    if seen.asked is not None:
        common = [name for name in names if name in seen.asked]
        asked = _report(profile.features, seen.asked, common, alpha)
    now = None if seen.predicted is None else predictions_frame(seen.predicted, profile.labels)
    if now is not None and seen.predicted_clusters is not None:
        now = now.assign(**{CLUSTER: seen.predicted_clusters})
    prediction = _report(profile.predictions, now, list(profile.predictions.columns), alpha)
    if prediction is None:
        unjudged["prediction"] = (
            f"there are not yet {MINIMUM_ROWS} predictions for new patients"
            if profile.predictions.rows >= MINIMUM_ROWS
            else f"there were not {MINIMUM_ROWS} predictions for patients whom the version had not seen"
        )
    return Watched(profile, data, asked, prediction, figures, {**unjudged, **unavailable}, assumption)


def _report(
    reference: ReferenceProfile, current: pd.DataFrame | None, names: list[str], alpha: float
) -> DriftReport | None:
    """The comparison; None where there is too little on either side."""
    if current is None or not names or min(reference.rows, len(current)) < MINIMUM_ROWS:
        return None
    clusters = CLUSTER if CLUSTER in current else None
    return detect_drift(reference, current, columns=names, alpha=alpha, clusters=clusters)


def _measured(
    profile: ModelProfile, seen: Seen, problem: Problem, unavailable: dict[str, str]
) -> Iterator[Figure]:
    y, predicted = seen.outcomes, seen.predicted_of_known
    if y is None or predicted is None or len(y) < MINIMUM_OUTCOMES:
        unavailable["concept"] = (
            f"not yet {MINIMUM_OUTCOMES} outcomes of new patients with a prediction are known"
        )
        return
    if problem.of_classes and len(np.unique(y)) < 2:
        unavailable["concept"] = "all known outcomes of new patients are alike"
        return
    values = problem.metrics(y, predicted, profile.threshold)
    intervals = problem.intervals(y, predicted, profile.threshold)
    for name in dict.fromkeys((profile.metric, ACCURACY, *IDEAL)):
        baseline = profile.figures.get(name)
        if baseline is None:
            continue
        value, interval = values.get(name), intervals.get(name)
        if value is None or not np.isfinite(value):
            continue
        if name in IDEAL:
            severity = severity_of_calibration(interval, baseline, IDEAL[name])
        else:
            ascending = profile.greater_is_better if name == profile.metric else name == ACCURACY
            severity = severity_of_loss(value, interval, baseline, greater_is_better=ascending)
        ends = tuple(interval) if interval else (None, None)
        yield Figure(name, float(value), "measured", len(y), baseline, ends[0], ends[1], severity)


def _estimated(
    profile: ModelProfile,
    seen: Seen,
    problem: Problem,
    measured: Sequence[Figure],
    unavailable: dict[str, str],
) -> Iterator[Figure]:
    predicted = seen.predicted
    if predicted is None or len(predicted) < MINIMUM_ROWS:
        return
    if not problem.of_classes:
        unavailable["estimate"] = (
            f"without outcomes nothing sound can be said of {profile.metric}: a predicted number does not "
            "tell how far off it may be"
        )
        return
    if contradicted := _not_calibrated(profile, measured):
        unavailable["estimate"] = contradicted
        return
    for name, value in expected_metrics(predicted, profile.threshold).items():
        if value is not None:
            baseline = profile.figures.get(name, Baseline(None))
            yield Figure(name, value, "estimated", len(predicted), baseline)


def _not_calibrated(profile: ModelProfile, measured: Sequence[Figure]) -> str:
    """Why nothing may be told of predicted probabilities; empty where nothing speaks against it."""
    for name, ideal in IDEAL.items():
        at = profile.figures.get(name, Baseline(None))
        if at.low is not None and at.high is not None and not at.low <= ideal <= at.high:
            return f"probabilities were not calibrated at training ({name} {at.low:.2f} to {at.high:.2f})"
    off = [figure.metric for figure in measured if figure.metric in IDEAL and figure.severity != "none"]
    return f"outcomes that are known speak against calibrated probabilities ({', '.join(off)})" if off else ""
