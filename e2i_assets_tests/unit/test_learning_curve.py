"""The learning curve: parts of train, each in the next, fitted as the model is; or the reason why not."""

from __future__ import annotations

import dataclasses
import re
from functools import cache

import numpy as np
import pytest

from e2i_assets.modeling.data import transform
from e2i_assets.modeling.evaluation.evaluate import evaluate
from e2i_assets.modeling.evaluation.plots import evaluation_plots
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.training.fitting import Matrices
from e2i_assets.modeling.training.learning_curve import MOST_CELLS, LearningCurve, learning_curve
from e2i_assets_tests.unit.modeling_frames import TEST, TRAIN, VALIDATION, trained

LINEAR = Binary.algorithms["LogisticRegression"]


@cache
def matrices() -> Matrices:
    return transform(trained("LogisticRegression").pipeline[0], TRAIN, VALIDATION)


def curve(data: Matrices, algorithm: Algorithm = LINEAR) -> LearningCurve:
    return learning_curve(algorithm, LINEAR.defaults, Binary(), data, 0.8, seed=42)


def test_points_are_of_parts_of_train_each_in_the_next() -> None:
    fitted: list[np.ndarray] = []

    def fit(estimator: object, data: Matrices) -> None:
        fitted.append(data.X_train)
        estimator.fit(data.X_train, data.y_train)

    points = curve(matrices(), dataclasses.replace(LINEAR, fit=fit)).points
    assert [point["rows"] for point in points] == [90, 180, 270, 360]
    assert points[-1]["score"] == 0.8
    assert all(0.6 < point["score"] < 1 for point in points)
    rows = [{tuple(row) for row in part} for part in fitted]
    assert rows[0] < rows[1] < rows[2] < {tuple(row) for row in matrices().X_train}
    assert points == curve(matrices()).points


def test_a_part_has_all_rows_of_its_patients() -> None:
    data, parts = matrices(), list[np.ndarray]()
    patients = np.repeat(np.arange(120), 3)
    numbered = dataclasses.replace(data, X_train=np.column_stack([data.X_train, patients]))
    numbered = dataclasses.replace(
        numbered, X_validation=np.column_stack([data.X_validation, data.y_validation])
    )

    def fit(estimator: object, part: Matrices) -> None:
        parts.append(part.X_train[:, -1])
        estimator.fit(part.X_train, part.y_train)

    watched = dataclasses.replace(LINEAR, fit=fit)
    learning_curve(watched, LINEAR.defaults, Binary(), numbered, 0.8, seed=42, patients=patients)
    assert [len(part) for part in parts] == [90, 180, 270]
    for part in parts:
        assert (np.unique(part, return_counts=True)[1] == 3).all()


@pytest.mark.parametrize(
    ("rows", "repeats", "positives", "words"),
    [
        (99, 1, None, "fewer than 100 rows of train"),
        (360, MOST_CELLS // 360 + 1, None, "more values than are cheap to fit again"),
        (360, 1, 3, "25% of train has too few rows, in all or of an outcome"),
    ],
)
def test_no_curve_has_a_reason(rows: int, repeats: int, positives: int | None, words: str) -> None:
    data = matrices()
    X = np.broadcast_to(data.X_train[:rows, :1], (rows, repeats)) if repeats > 1 else data.X_train[:rows]
    y = data.y_train[:rows] if positives is None else (np.arange(rows) < positives).astype(np.int8)
    curve_points = curve(dataclasses.replace(data, X_train=X, y_train=y))
    assert curve_points.points == ()
    assert words in curve_points.unavailable
    assert not set(re.findall(r"\d+", curve_points.unavailable)) & {
        str(int(y.sum())),
        str(rows),
        "1",
    }  # no count


def test_an_evaluation_has_the_curve_or_says_why_not() -> None:
    model = trained("LogisticRegression")
    evaluated = evaluate(model, TEST, VALIDATION, TRAIN)
    assert [point["rows"] for point in evaluated.curves["learning"]] == [90, 180, 270, 360]
    assert evaluation_plots(evaluated)["learning_curve.png"].startswith(b"\x89PNG")
    without = dataclasses.replace(model, learning_curve=(), unavailable={"learning": "too few rows"})
    evaluated = evaluate(without, TEST, VALIDATION, TRAIN)
    assert evaluated.unavailable["learning"] == "too few rows"
    of_test = {"roc.png", "precision_recall.png", "calibration.png", "decision_curve.png"}
    assert set(evaluation_plots(evaluated)) == of_test
