"""Algorithms are compared as they are trained; those that are level are compared on other divisions too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.scopes.scope import FeatureChoice
from e2i_assets.modeling.selection import comparison
from e2i_assets.modeling.selection.algorithms import Algorithm
from e2i_assets.modeling.selection.comparison import (
    DIVISIONS,
    FOLDS,
    WATCHED,
    Folds,
    cross_validate,
    divided_again,
    finalists_of,
)
from e2i_assets.modeling.training.fitting import Matrices

ROWS = 60
SIZES = {"Ridge": 1.0, "Lasso": 1.001, "XGBoost": 3.0}
"""Size of each algorithm's errors."""


def folds(names: Sequence[str], seed: int) -> Folds:
    rng = np.random.default_rng(seed)
    targets = [rng.normal(size=ROWS // 3) for _ in range(3)]
    noise = [rng.normal(size=ROWS // 3) for _ in targets]
    predictions = {
        name: [
            y + SIZES[name] * e + 0.3 * rng.normal(size=len(y)) for y, e in zip(targets, noise, strict=True)
        ]
        for name in names
    }
    return Folds(targets, predictions, {})


def again(names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any], list[Any]]:
    """Finalists of one division, those after further ones, and what was asked for in between."""
    asked: list[Any] = []

    def cross_validate(_: Any, algorithms: Sequence[Algorithm], *given: Any, costs: bool) -> Folds:
        asked.append(([a.name for a in algorithms], given[-1], costs))
        return folds([a.name for a in algorithms], given[-1])

    problem = Regression()
    first = folds(names, 7)
    scores = dict.fromkeys(names, 0.5)
    before = finalists_of(first, [problem.algorithm(name) for name in names], scores, problem)
    monkeypatch.setattr(comparison, "cross_validate", cross_validate)
    train = LabelledSplit("train", pd.DataFrame({"x": [0.0, 1.0]}), np.array([0.0, 1.0]), problem)
    question: Any = SimpleNamespace(problem=problem)
    return before, divided_again(question, before, first, train, [], 7), asked


def test_those_that_are_level_are_compared_on_all_divisions(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, asked = again(["Ridge", "Lasso", "XGBoost"], monkeypatch)
    assert {f.algorithm for f in before if f.level} == {"Ridge", "Lasso"}
    assert [(sorted(names), seed, costs) for names, seed, costs in asked] == [
        (["Lasso", "Ridge"], 7 + division, False) for division in range(1, DIVISIONS)
    ]
    assert after[2] == before[2], "the one that was behind keeps its figures"
    divisions = [folds([f.algorithm for f in before[:2]], 7 + d) for d in range(1, DIVISIONS)]
    of_all = [folds(["Ridge", "Lasso", "XGBoost"], 7), *divisions]
    for finalist in after[:2]:
        errors = [
            np.sqrt(np.mean((message - y) ** 2))
            for one in of_all
            for y, message in zip(one.targets, one.predictions[finalist.algorithm], strict=True)
        ]
        assert finalist.score_mean == pytest.approx(-np.mean(errors))
    assert after[0].score_mean >= after[1].score_mean


def test_the_same_rows_again_make_no_smaller_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, _ = again(["Ridge", "Lasso"], monkeypatch)
    noise = max(f.noise for f in before)
    assert max(f.noise for f in after) == pytest.approx(noise, rel=0.35)
    assert max(f.noise for f in after) > noise / np.sqrt(DIVISIONS) * 1.2


def test_one_that_is_ahead_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, asked = again(["Ridge", "XGBoost"], monkeypatch)
    assert after == before
    assert asked == []


def test_boosting_is_compared_with_the_rounds_that_rows_to_fit_on_keep() -> None:
    """A part of each fold's patients stops it; those that it is scored on, and fixed rounds, have no say."""
    rng, stopped, built = np.random.default_rng(3), [], []
    y = rng.normal(size=ROWS)
    split = LabelledSplit(
        "train", pd.DataFrame({"x": y}), y, Regression(), pd.Series(np.repeat(np.arange(ROWS // 2), 2))
    )
    question: Any = SimpleNamespace(features=FeatureChoice())

    def fit(_: Any, data: Matrices, on_round: Any = None) -> int:
        stopped.append(data)
        return 100 + len(stopped)

    def build(kind: str, params: Any, _: int) -> Any:
        built.append((kind, params.get("n_estimators")))
        return DummyRegressor()

    algorithms = [
        Algorithm("XGBoost", {"n_estimators": 7}, {}, partial(build, "boosting"), fit),
        Algorithm("RandomForest", {"n_estimators": 7}, {}, partial(build, "forest")),
    ]
    folds = cross_validate(
        question, algorithms, split, [Feature(name="x", kind="numeric", source="table")], 7, costs=False
    )
    assert [rounds for kind, rounds in built if kind == "boosting"] == [7, 101, 7, 102, 7, 103]
    assert [rounds for kind, rounds in built if kind == "forest"] == [7] * FOLDS
    for data, scored in zip(stopped, folds.targets, strict=True):
        fitted, watched = set(data.y_train), set(data.y_validation)
        assert fitted | watched == set(y) - set(scored)
        assert len(watched) == pytest.approx(WATCHED * (ROWS - len(scored)), abs=2)
        patients = [set(split.patients[np.isin(y, list(part))]) for part in (fitted, watched)]
        assert not set.intersection(*patients)
