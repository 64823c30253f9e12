"""A small logistic problem with known truth, and one trained model of it, for the modelling tests."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets_tests.serving_toy import feature

FEATURES = (
    *(feature(f"lab_{i}", "numeric") for i in range(5)),
    feature("smoker", "boolean"),
    feature("region", "categorical"),
)


class Toy(NamedTuple):
    X: pd.DataFrame
    y: np.ndarray
    p: np.ndarray

    def split(self, name: str, start: int, stop: int) -> LabelledSplit:
        X = self.X.iloc[start:stop].reset_index(drop=True)
        return LabelledSplit(name, X, self.y[start:stop], Binary())


def toy(rows: int, seed: int = 0, *, interaction: float = 0.0) -> Toy:
    """Gaps in lab_0, smoker and region; `interaction` adds a sign product that no linear model sees."""
    rng = np.random.default_rng(seed)
    labs = rng.normal(size=(rows, 5))
    smoker = (rng.random(rows) < 0.3).astype(float)
    region = rng.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2])
    log_odds = labs @ [1.0, -0.8, 0.5, 0.0, 0.0] + 0.7 * smoker + 0.8 * (region == "west") - 0.5
    log_odds = log_odds + interaction * np.sign(labs[:, 3] * labs[:, 4])
    p = 1 / (1 + np.exp(-log_odds))
    X = pd.DataFrame(labs, columns=[f"lab_{i}" for i in range(5)])
    X["smoker"], X["region"] = smoker, region.astype(object)
    X.loc[rng.random(rows) < 0.1, "lab_0"] = np.nan
    X.loc[rng.random(rows) < 0.05, "smoker"] = np.nan
    X.loc[rng.random(rows) < 0.1, "region"] = None
    return Toy(X, (rng.random(rows) < p).astype(int), p)


def scope(**changes: object) -> Scope:
    document = {
        "name": "conversion",
        "description": "Will it start?",
        "problem_type": "binary_classification",
        "target": "started",
        "success_criteria": {"min_auc": 0.7},
    }
    return as_scope(document | changes)


def candidate(algorithm: str) -> ModelCandidate:
    """A candidate as selection gives it, for a named algorithm."""
    chosen = Binary.algorithms[algorithm]
    return ModelCandidate(
        scope="conversion",
        metric="roc_auc",
        algorithm=algorithm,
        family=chosen.family,
        selection_score=0.5,
        finalists=(),
        search_space=chosen.search_space,
        defaults=chosen.defaults,
        rationale="",
        alternatives={},
        n_rows=0,
    )


DATA = toy(600)
TRAIN, VALIDATION, TEST = (
    DATA.split(name, *rows)
    for name, rows in {"train": (0, 360), "validation": (360, 480), "test": (480, 600)}.items()
)


@cache
def trained(algorithm: str) -> TrainedModel:
    chosen = candidate(algorithm)
    return train_model(
        chosen, chosen.defaults, fit_preprocessor(TRAIN.X, FEATURES), TRAIN, VALIDATION, seed=42
    )


def trained_as(
    algorithm: str, candidate: ModelCandidate, splits: dict[str, LabelledSplit], features: tuple[Feature, ...]
) -> TrainedModel:
    """A candidate's question answered by one algorithm at its defaults, without a search."""
    train, validation = splits["train"], splits["validation"]
    chosen = train.problem.algorithms[algorithm]
    named = dataclasses.replace(
        candidate, algorithm=algorithm, defaults=chosen.defaults, search_space=chosen.search_space
    )
    return train_model(
        named, chosen.defaults, fit_preprocessor(train.X, features), train, validation, seed=42
    )
