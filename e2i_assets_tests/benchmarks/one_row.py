"""Time of one row through what a bundle answers single rows with, against the pipeline.

The bar is 1 ms in the median; for the effect on one patient it is 5 ms.

    python -m e2i_assets_tests.benchmarks.one_row [rows]

20 features become some 50 columns. Every algorithm at its defaults, where there are classes calibrated, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from e2i_assets.causal.learners import LEARNERS
from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.multiclass import Multiclass
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.selection.one_row import asked, compiled, gap
from e2i_assets_tests.serving_toy import feature

KINDS = {"numeric": 12, "boolean": 4, "categorical": 4}
FEATURES = tuple(feature(f"{kind}_{i}", kind) for kind, number in KINDS.items() for i in range(number))  # type: ignore[arg-type]
LABELS = ("low", "middle", "high")
LEVELS = [f"level {i}" for i in range(8)]


def frame(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """A tenth of the values is missing."""
    draw: dict[str, Callable[[], np.ndarray]] = {
        "numeric": lambda: rng.normal(size=rows),
        "boolean": lambda: rng.integers(0, 2, rows).astype(float),
        "categorical": lambda: rng.choice(np.array(LEVELS, dtype=object), rows),
    }
    X = pd.DataFrame({f.name: draw[f.kind]() for f in FEATURES})
    for f in FEATURES:
        X.loc[rng.random(rows) < 0.1, f.name] = None if f.kind == "categorical" else np.nan
    return X


def split(name: str, rows: int, problem: Problem, rng: np.random.Generator) -> LabelledSplit:
    X = frame(rows, rng)
    score = X["numeric_0"].fillna(0) + X["numeric_1"].fillna(0) ** 2 + (X["categorical_0"] == LEVELS[0])
    score = score.to_numpy() + rng.normal(size=rows)
    if isinstance(problem, Binary):
        return LabelledSplit(name, X, (score > 1).astype(int), problem)
    if isinstance(problem, Multiclass):
        return LabelledSplit(name, X, np.array(LABELS)[np.digitize(score, [0.5, 2])], problem)
    return LabelledSplit(name, X, score, problem)


def models(problem: Problem) -> Iterator[tuple[str, Pipeline]]:
    """Each algorithm, and where there are classes the same calibrated."""
    rng = np.random.default_rng(0)
    train, validation = (
        split(name, rows, problem, rng) for name, rows in (("train", 2000), ("validation", 500))
    )
    preprocessor = fit_preprocessor(train.X, FEATURES)
    data = transform(preprocessor, train, validation)
    for name, algorithm in problem.algorithms.items():
        estimator = algorithm.build(algorithm.defaults, 42)
        algorithm.fit(estimator, data)
        yield name, Pipeline([("preprocessor", preprocessor), ("model", estimator)])
        for method in ("sigmoid", "isotonic") if problem.of_classes else ():
            calibrated = CalibratedClassifierCV(FrozenEstimator(estimator), method=method)
            calibrated.fit(data.X_validation, data.y_validation)
            yield f"{name}, {method}", Pipeline([("preprocessor", preprocessor), ("model", calibrated)])


def effects() -> Iterator[tuple[str, Pipeline]]:
    """Each causal learner; every other patient is treated, by a coin."""
    rng = np.random.default_rng(0)
    train = split("train", 2000, Regression(), rng)
    preprocessor = fit_preprocessor(train.X, FEATURES)
    treatment = rng.integers(0, 2, len(train.X))
    for name, learner in LEARNERS.items():
        estimator = learner.build(learner.defaults, 42)
        estimator.fit(
            train.y + treatment * train.X["boolean_0"].fillna(0), treatment, X=preprocessor.transform(train.X)
        )
        yield name, Pipeline([("preprocessor", preprocessor), ("model", estimator)])


def cases() -> Iterator[tuple[str, str, Pipeline]]:
    """Title, method and pipeline of everything that is served."""
    for problem in (Binary(), Multiclass(LABELS), Regression()):
        method = "predict_proba" if problem.of_classes else "predict"
        for name, pipeline in models(problem):
            yield f"{problem.problem_type} {name}", method, pipeline
    for name, pipeline in effects():
        yield f"effect {name}", "effect", pipeline


def milliseconds(answer: Callable[[Any], Any], asked: list[Any]) -> np.ndarray:
    times = []
    for one in asked:
        start = time.perf_counter()
        answer(one)
        times.append(1000 * (time.perf_counter() - start))
    return np.array(times)


def main(rows: int = 500) -> None:
    """Print, for each algorithm, the median and p99 of one row, the pipeline's median and the difference."""
    print(f"{'':52}{'median':>9}{'p99':>9}{'pipeline':>10}{'ratio':>7}{'differs':>9}")
    X = frame(rows, np.random.default_rng(1))
    records = X.astype(object).where(X.notna(), None).to_dict("records")
    for title, method, pipeline in cases():
        one, whole = compiled(pipeline, method), asked(pipeline, method)
        alone = np.array([one(row) for row in records])
        quick = milliseconds(one, records)
        slow = milliseconds(whole, [X.iloc[[i]] for i in range(min(rows, 20))])
        differs = gap(alone, np.reshape(whole(X), alone.shape))
        median, p99 = np.percentile(quick, [50, 99])
        ratio = np.median(slow) / median
        print(f"{title:52}{median:6.3f} ms{p99:6.2f} ms{np.median(slow):7.2f} ms{ratio:6.0f}x{differs:9.0e}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
