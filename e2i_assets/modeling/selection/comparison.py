"""Algorithms compared by cross-validation on train, each fold with its own features and preprocessing.

How few rows fall into folds moves their scores about as much as the algorithms do, so those that one division
finds level are compared on others of the same rows too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit
from e2i_assets.modeling.preprocessing.feature_selection import choose_features
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.preprocessing.target_encoding import training_matrix
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.scope import FeatureChoice, Selection
from e2i_assets.modeling.selection.algorithms import Algorithm, Params
from e2i_assets.modeling.selection.folds import folds_by_patient, part_of_patients
from e2i_assets.modeling.selection.measuring import Measurement, measure
from e2i_assets.modeling.training.fitting import Matrices, fit_plain

FOLDS = 3
DIVISIONS = 3
"""So often the rows are divided into folds for algorithms that are level after the first time."""
WATCHED = 0.2
"""Share of the rows to fit on that tell boosting when to stop."""
BENCHMARK_ROWS = 20_000
"""More rows than this are sampled for the benchmark: the comparison is settled by then."""


class Question(Protocol):
    """What is asked of a selection; a scope is one."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def problem(self) -> Problem:
        """The kind of target."""

    @property
    def selection(self) -> Selection:
        """What an algorithm must meet, and what is preferred."""

    @property
    def features(self) -> FeatureChoice:
        """Which features are left out, and by which rules."""


@dataclass(frozen=True)
class Finalist:
    """One compared algorithm.

    Attributes:
        selection_score: of the ranking, 0 to 1.
        score_mean, score_std: over the folds; more is better.
        behind, noise: how far its score is behind the best one on the same folds, and the standard error of
            that difference.
    """

    algorithm: str
    selection_score: float
    score_mean: float
    score_std: float
    behind: float
    noise: float

    @property
    def level(self) -> bool:
        """Whether the best one is ahead of it by no more than the noise."""
        return self.behind <= self.noise


@dataclass(frozen=True)
class Folds:
    """Targets and each algorithm's predictions of the held-out rows of each fold, and what models cost."""

    targets: Sequence[np.ndarray]
    predictions: Mapping[str, Sequence[np.ndarray]]
    measured: Mapping[str, Measurement]

    def joined(self, others: Folds) -> Folds:
        """With the folds of another division, of the algorithms that were compared on it."""
        predictions = {n: [*self.predictions[n], *of_other] for n, of_other in others.predictions.items()}
        return Folds([*self.targets, *others.targets], predictions, self.measured)


def cross_validate(
    question: Question,
    algorithms: Sequence[Algorithm],
    train: LabelledSplit,
    features: Sequence[Feature],
    seed: int,
    *,
    costs: bool = True,
) -> Folds:
    """Each algorithm at its defaults on the same folds; the last models are measured, for their `costs`."""
    from sklearn.pipeline import Pipeline

    problem, rules = train.problem, question.features.selection
    X, y, patients = _sample(train, seed)
    X = X[[f.name for f in features]]
    targets: list[np.ndarray] = []
    predictions: dict[str, list[np.ndarray]] = {a.name: [] for a in algorithms}
    measured: dict[str, Measurement] = {}
    method = "predict_proba" if problem.of_classes else "predict"
    for fit_on, score_on in folds_by_patient(problem, y, patients, FOLDS, seed):
        rows, target, of = X.iloc[fit_on], y[fit_on], patients[fit_on]
        chosen = choose_features(
            rows,
            target,
            features,
            rules,
            problem=problem,
            seed=seed,
            patients=of,
            required=question.features.required,
        )
        preprocessor = fit_preprocessor(rows, chosen.kept, y=target, classes=problem.of_classes, patients=of)
        known = training_matrix(preprocessor, rows, target, of)
        unseen = X.iloc[score_on]
        transformed = preprocessor.transform(unseen)
        targets.append(y[score_on])
        last = costs and len(targets) == FOLDS
        for algorithm in algorithms:
            params = _parameters(algorithm, problem, known, target, of, seed)
            model = algorithm.build(params, seed).fit(known, target)
            predictions[algorithm.name].append(problem.predict(model, transformed))
            if last:
                pipeline = Pipeline([("preprocessor", preprocessor), ("model", model)])
                measured[algorithm.name] = measure(pipeline, method, unseen)
    return Folds(targets, predictions, measured)


def _parameters(
    algorithm: Algorithm, problem: Problem, X: np.ndarray, y: np.ndarray, patients: np.ndarray, seed: int
) -> Params:
    """The defaults; of boosting with the rounds that early stopping keeps, as when it is trained.

    A fixed number was too few for 10,000 rows, so that a linear model seemed level with it. Which rounds are
    kept is decided by a part of the rows that are fitted on, never by those that are scored.
    """
    if algorithm.fit is fit_plain:
        return algorithm.defaults
    part = part_of_patients(problem, y, patients, 1 - WATCHED, seed)
    rest = np.setdiff1d(np.arange(len(y)), part)
    rounds = algorithm.fit(
        algorithm.build(algorithm.defaults, seed), Matrices(X[part], y[part], X[rest], y[rest])
    )
    return {**algorithm.defaults, "n_estimators": rounds}


def finalists_of(
    folds: Folds,
    algorithms: Sequence[Algorithm],
    scores: Mapping[str, float],
    problem: Problem,
    *,
    divisions: int = 1,
) -> list[Finalist]:
    """The algorithms by their score on the folds of so many divisions, best first."""
    if not algorithms:
        return []
    names = [a.name for a in algorithms]
    compared = problem.compare(
        folds.targets, list(zip(*(folds.predictions[name] for name in names), strict=True))
    )
    finalists = [
        Finalist(
            algorithm=name,
            selection_score=scores[name],
            score_mean=float(compared.means[i]),
            score_std=float(compared.stds[i]),
            behind=float(compared.means.max() - compared.means[i]),
            # Held out once in each division, the same rows say no more of other patients than once.
            noise=float(compared.noise[i]) * math.sqrt(divisions),
        )
        for i, name in enumerate(names)
    ]
    return sorted(finalists, key=lambda f: (-f.score_mean, f.algorithm))


def divided_again(
    question: Question,
    finalists: Sequence[Finalist],
    folds: Folds,
    train: LabelledSplit,
    features: Sequence[Feature],
    seed: int,
) -> list[Finalist]:
    """The finalists with those that are level compared on further divisions, best first, then the others.

    Args:
        folds: of the first division, which `seed` was for.
    """
    level = {f.algorithm: f.selection_score for f in finalists if f.level}
    if len(level) < 2:
        return list(finalists)
    algorithms = [question.problem.algorithm(name) for name in level]
    for division in range(1, DIVISIONS):
        folds = folds.joined(
            cross_validate(question, algorithms, train, features, seed + division, costs=False)
        )
    again = finalists_of(folds, algorithms, level, question.problem, divisions=DIVISIONS)
    return [*again, *(f for f in finalists if f.algorithm not in level)]


def _sample(train: LabelledSplit, seed: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Features, target and patient of the rows that are compared on."""
    from sklearn.model_selection import train_test_split

    train.problem.require_folds(train.name, train.y, FOLDS)
    patients = np.arange(len(train.y)) if train.patients is None else train.patients
    if len(train.y) <= BENCHMARK_ROWS:
        return train.X, train.y, patients
    X, _, y, _, patients, _ = train_test_split(
        train.X,
        train.y,
        patients,
        train_size=BENCHMARK_ROWS,
        stratify=train.problem.strata(train.y),
        random_state=seed,
    )
    return X, y, patients
