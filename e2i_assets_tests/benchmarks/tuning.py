"""What choosing, tuning and training cost on a large table, in fits; and whether that loses anything.

The unit is one early-stopped fit of the chosen algorithm's defaults on all training rows, on one thread. With
`--against-full` the same study is made with every trial on all rows, as the yardstick of the test AUC; that
takes as long as it says.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.metrics.delong import delong
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.scopes.files import as_scope
from e2i_assets.modeling.selection.candidate import select_candidate
from e2i_assets.modeling.training.model import train_model
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig
from e2i_assets.modeling.tuning.study import Progress, tune
from e2i_assets_tests.serving_toy import feature

SCOPE = {
    "name": "conversion",
    "description": "Will it start?",
    "problem_type": "binary_classification",
    "target": "started",
    "success_criteria": {"min_auc": 0.6},
}


def table(rows: int, columns: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Normal columns; a tenth of them matter, with thresholds and interactions that no line follows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    k = max(columns // 10, 4)
    log_odds = X[:, :k] @ rng.normal(scale=0.3, size=k) - 1.0
    for i in range(k - 1):
        log_odds += rng.normal(scale=0.4) * np.sign(X[:, i]) * X[:, i + 1]
    log_odds += 0.5 * (np.abs(X[:, k - 1]) > 1)
    y = (rng.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return pd.DataFrame(X, columns=[f"lab_{i}" for i in range(columns)]), y


def taken(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gave, and the wall and CPU seconds that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    given = work()
    return given, time.perf_counter() - wall, time.process_time() - cpu


def peak() -> float:
    """Most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000, help="of train, validation and test together")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--algorithm", help="instead of the one that selection chooses")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--against-full", action="store_true")
    chosen = parser.parse_args()
    frame, y = table(chosen.rows, chosen.columns, chosen.seed)
    cut, end = int(0.6 * chosen.rows), int(0.8 * chosen.rows)
    train, validation, test = (
        LabelledSplit(name, frame.iloc[rows], y[rows], Binary())
        for name, rows in (
            ("train", slice(0, cut)),
            ("validation", slice(cut, end)),
            ("test", slice(end, None)),
        )
    )
    features = tuple(feature(name, "numeric") for name in frame)
    compare(train, validation, test, features, chosen)


def compare(
    train: LabelledSplit,
    validation: LabelledSplit,
    test: LabelledSplit,
    features: tuple[Feature, ...],
    chosen: argparse.Namespace,
) -> None:
    """One fit, the whole, and with `--against-full` the study of which every trial is on all rows."""
    others = [name for name in Binary.algorithms if chosen.algorithm and name != chosen.algorithm]
    scope = as_scope(SCOPE | {"selection": {"excluded_algorithms": others}})
    size = sum(split.X.memory_usage(deep=True).sum() for split in (train, validation, test)) / 2**20
    import lightgbm, optuna, sklearn.compose, sklearn.ensemble, xgboost  # noqa: E401, F401, I001 -- no memory of the table's

    loaded = peak()
    candidate, *selection = taken(lambda: select_candidate(scope, train, features=features, seed=42))
    preprocessor = fit_preprocessor(train.X, features)
    algorithm = Binary.algorithms[candidate.algorithm]
    print(f"{chosen.rows} rows x {chosen.columns}, {chosen.trials} trials of {candidate.algorithm}")

    def one() -> None:
        estimator = algorithm.build(algorithm.defaults, 42)
        algorithm.fit(estimator, transform(preprocessor, train, validation))

    _, *unit = taken(one)

    def say(progress: Progress) -> None:
        if progress.done % 10 == 0:
            print(f"  {progress}", flush=True)

    config = OptunaConfig(optimization=OptimizationConfig(n_trials=chosen.trials))

    def study() -> Any:
        return tune(candidate, preprocessor, train, validation, config, study_name="benchmark", on_trial=say)

    def model(params: Any) -> Any:
        return train_model(candidate, params, preprocessor, train, validation, seed=42)

    tuned, *tuning = taken(study)
    trained, *training = taken(lambda: model(tuned.chosen_params))
    parts = {"selection": selection, "tuning": tuning, "training": training}
    for name, seconds in (parts | {"all": np.sum(list(parts.values()), axis=0)}).items():
        print(
            f"{name}: {seconds[0]:.1f} s wall, {seconds[1]:.1f} s CPU = "
            f"{seconds[0] / unit[0]:.1f} and {seconds[1] / unit[1]:.1f} fits (one: {unit[0]:.1f}, {unit[1]:.1f} s)"
        )
    print(
        f"memory: {peak() - loaded:.0f} MB above the {loaded:.0f} before = {(peak() - loaded) / size:.1f} frames"
    )
    print(f"rungs of {tuned.rows} rows; work counted: {tuned.fits} fits; {tuned.n_pruned} pruned")
    predictions = [trained.predict(test.X)]
    if chosen.against_full:
        with mock.patch("e2i_assets.modeling.tuning.study.rungs", lambda data, *_: [data]):
            full, *whole = taken(study)
        predictions.append(model(full.chosen_params).predict(test.X))
        print(f"every trial on all rows: {whole[1]:.1f} s CPU = {whole[1] / unit[1]:.1f} fits")
    aucs, covariance = delong(test.y, np.array(predictions))
    print("test AUC: " + ", ".join(f"{auc:.4f}" for auc in aucs))
    if chosen.against_full:
        noise = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
        print(f"difference to every trial on all rows: {aucs[0] - aucs[1]:+.4f} (standard error {noise:.4f})")


if __name__ == "__main__":
    main()
