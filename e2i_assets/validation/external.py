"""How a registered version does on patients that it never saw, as it is served and recalibrated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.evaluation.holdout import Measured, measured
from e2i_assets.modeling.evaluation.subgroups import groups_of, subgroup_table
from e2i_assets.modeling.metrics.calibration import CalibrationBin, calibration_bins
from e2i_assets.modeling.metrics.correction import Correction, out_of_fold
from e2i_assets.modeling.metrics.figures import Subgroup
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.monitoring.performance import MINIMUM_OUTCOMES
from e2i_assets.monitoring.severity import SEVERITIES
from e2i_assets.monitoring.watching import Watched
from e2i_assets.validation.errors import NotValidated
from e2i_assets.validation.population import Characteristic

SERVED, IN_THE_LARGE, LINE = "as served", "recalibrated in the large", "recalibrated, slope and intercept"
RECALIBRATED: Mapping[str, bool] = {IN_THE_LARGE: False, LINE: True}
"""Name to whether a slope is fitted beside the intercept."""
FOLDS, RESAMPLES, SEED = 5, 200, 0
FEWEST_OF_A_CLASS = 10
"""Patients of each class below whom nothing is said: two in each fold."""


@dataclass(frozen=True)
class Judged:
    """Figures of predictions on patients whose outcome is known.

    Attributes:
        figures: way of prediction (`SERVED`, `RECALIBRATED`) to metric. Recalibrated predictions are by a
            correction that was fitted without the patient.
        corrections: way to what all patients together say it is corrected by, with intervals.
        calibration: way to rows, mean prediction and mean outcome by bin; of several classes those of the
            most probable one.
        unavailable: metric to the reason why it could not be computed.
    """

    figures: Mapping[str, Mapping[str, Measured]]
    corrections: Mapping[str, Mapping[str, Measured]]
    calibration: Mapping[str, tuple[CalibrationBin, ...]]
    subgroups: tuple[Subgroup, ...]
    unavailable: Mapping[str, str]


@dataclass(frozen=True)
class ExternalValidation:
    """A version on other patients. Aggregates only.

    Attributes:
        partition, database: the target; `database` is empty for the installation's own.
        loads: numbers of the loads that the target held.
        metric: that models of the kind are chosen by; `at_training` what it was on the model's own test.
        eligible, patients, rows: patients of the target's cohort; patients and journeys that were scored.
        left_out: reason to patients who were not.
        equal_rows: journeys whose features all equal those of one that the model learnt from.
        unseen_levels: feature to the share of rows with a level that training did not have.
        drift: severity and verdict, and each column's.
        limits: what has to be known to read the figures.
    """

    model_name: str
    version: int
    model_fingerprint: str
    problem_type: str
    target: str
    partition: str
    database: str
    loads: tuple[int, ...]
    metric: str
    at_training: Measured
    eligible: int
    patients: int
    rows: int
    left_out: Mapping[str, int]
    equal_rows: int
    unseen_levels: Mapping[str, float]
    judged: Judged
    population: tuple[Characteristic, ...]
    drift: Mapping[str, Any]
    limits: tuple[str, ...] = field(default=())

    @property
    def primary(self) -> Measured:
        """The metric as served."""
        return self.judged.figures[SERVED][self.metric]


def judge(
    problem: Problem,
    y: np.ndarray,
    prediction: np.ndarray,
    threshold: float | None,
    frame: pd.DataFrame,
    *,
    minimum: int,
) -> Judged:
    """Every figure of predictions, before and after recalibration.

    Args:
        y, prediction: outcomes, and what the model predicts of them.
        frame: features and `patient_id` of the same rows.
        minimum: patients below whom no figure of a group is told.

    Raises:
        NotValidated: too few outcomes are known.
    """
    patients = frame["patient_id"].to_numpy()
    _require_enough(problem, y, patients)
    folds = list(_folds(problem, y, patients))
    ways = {SERVED: prediction}
    for way, slope in RECALIBRATED.items():
        ways[way] = out_of_fold(
            lambda rows, slope=slope: problem.correction(y[rows], prediction[rows], slope=slope),  # type: ignore[misc]
            problem.corrected,
            prediction,
            folds,
        )
    groups, missing = groups_of(frame)
    return Judged(
        figures={way: measured(problem, y, predicted, threshold) for way, predicted in ways.items()},
        corrections={
            way: _correction(problem, y, prediction, patients, slope=slope)
            for way, slope in RECALIBRATED.items()
        },
        calibration={way: bins(y, predicted) for way, predicted in ways.items()},
        subgroups=subgroup_table(problem, y, prediction, groups, minimum=minimum, patients=patients),
        unavailable={
            **problem.reasons(y, prediction, threshold),
            **{f"groups by {dimension}": reason for dimension, reason in missing.items()},
        },
    )


def bins(y: np.ndarray, prediction: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Rows, mean prediction and mean outcome in bins of equal size, in order of prediction."""
    if prediction.ndim == 2:
        y, prediction = (prediction.argmax(axis=1) == y).astype(float), prediction.max(axis=1)
    return calibration_bins(y, prediction)


def unseen_levels(
    trained_on: pd.DataFrame, target: pd.DataFrame, features: Sequence[Feature]
) -> dict[str, float]:
    """Feature to the share of rows with a level that training did not have, of those that have such rows."""
    shares = {
        f.name: float((target[f.name].notna() & ~target[f.name].isin(trained_on[f.name].dropna())).mean())
        for f in features
        if f.kind == "categorical"
    }
    return {name: share for name, share in shares.items() if share}


def drift_document(watched: Watched) -> dict[str, Any]:
    """Severity, verdict and columns, the worst first, as plain JSON types."""
    columns = [
        {"column": column.name, "of": kind, "severity": column.severity, "why": column.why,
         "psi": one.effect.size if (one := column.finding("psi")) else None}
        for kind, column in watched.drifts()
    ]  # fmt: skip
    return {
        "severity": watched.severity if columns else "not judged",
        "columns": sorted(columns, key=lambda of: (-SEVERITIES.index(of["severity"]), -(of["psi"] or 0.0))),
        "unavailable": dict(watched.unavailable),
    }


def _require_enough(problem: Problem, y: np.ndarray, patients: np.ndarray) -> None:
    people = len(np.unique(patients))
    if people < MINIMUM_OUTCOMES:
        raise NotValidated(
            f"the outcome is known of fewer than {MINIMUM_OUTCOMES} patients who may be looked at",
            "Load more patients, or wait for their outcomes.",
            code="too_few_outcomes",
        )
    if not problem.of_classes:
        return
    for place in range(max(2, len(problem.labels))):
        if len(np.unique(patients[y == place])) < FEWEST_OF_A_CLASS:
            name = problem.labels[place] if problem.labels else ("no event", "event")[place]
            raise NotValidated(
                f"fewer than {FEWEST_OF_A_CLASS} patients who may be looked at have the outcome {name}",
                "Load more patients, or wait for their outcomes.",
                code="too_few_outcomes",
            )


def _folds(problem: Problem, y: np.ndarray, patients: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers to fit on and to correct; all rows of a patient are on one side."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    if problem.of_classes:
        split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    else:
        split = GroupKFold(FOLDS, shuffle=True, random_state=SEED)
    yield from split.split(y, y, patients)


def _correction(
    problem: Problem, y: np.ndarray, prediction: np.ndarray, patients: np.ndarray, *, slope: bool
) -> dict[str, Measured]:
    """The correction by all rows, with the percentiles of resampled patients."""
    fitted = _named(problem, problem.correction(y, prediction, slope=slope))
    rng, people = np.random.default_rng(SEED), pd.factorize(patients)[0]
    rows_of = pd.Series(np.arange(len(y))).groupby(people).indices
    drawn = list[dict[str, float]]()
    while len(drawn) < RESAMPLES:
        rows = np.concatenate([rows_of[one] for one in rng.integers(len(rows_of), size=len(rows_of))])
        if problem.of_classes and len(np.unique(y[rows])) < len(np.unique(y)):
            continue  # a resample without one of the classes has no correction
        drawn.append(_named(problem, problem.correction(y[rows], prediction[rows], slope=slope)))
    ends = {name: np.quantile([one[name] for one in drawn], [0.025, 0.975]) for name in fitted}
    return {
        name: Measured(value, *map(float, ends[name]))
        for name, value in fitted.items()
        if slope or name != "slope"
    }


def _named(problem: Problem, correction: Correction) -> dict[str, float]:
    """The parts of a correction by name; of several classes an intercept for each but the first."""
    names = [f"intercept of {label}" for label in problem.labels[1:]] if problem.labels else ["intercept"]
    return {"slope": correction.slope, **dict(zip(names, correction.intercepts, strict=True))}
