"""Fitting one estimator on transformed data; the boosted ones stop early on the validation split.

Early stopping watches log loss, which is smoother than AUC on a small split and keeps probabilities
calibrated; the AUC of each reported round goes to the observer, who may end the fit by raising.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from e2i_assets.modeling.data import LabelledSplit

MAX_ROUNDS = 500
PATIENCE = 30
"""Rounds without a better log loss after which boosting stops."""
REPORT_EVERY = 5

OnRound = Callable[[int, float], None]
"""Receives the round (from 1) and the validation AUC; an exception ends the fit and is passed on."""


@dataclass(frozen=True)
class Matrices:
    """Transformed features (float64, rows by outputs) and 0/1 targets of train and validation."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_validation: np.ndarray
    y_validation: np.ndarray


class Fit(Protocol):
    """Fits in place; returns the number of boosting rounds kept, None where there are none."""

    def __call__(self, estimator: Any, data: Matrices, on_round: OnRound | None = None) -> int | None:
        """Fit `estimator` on train."""


def fit_plain(estimator: Any, data: Matrices, on_round: OnRound | None = None) -> None:
    """Fit an estimator that has no rounds; the observer hears nothing."""
    estimator.fit(data.X_train, data.y_train)


def fit_xgboost(estimator: Any, data: Matrices, on_round: OnRound | None = None) -> int:
    """Fit an `XGBClassifier`; the booster is cut at its best round."""
    from xgboost.callback import EarlyStopping, TrainingCallback

    class Report(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if on_round and (epoch + 1) % REPORT_EVERY == 0:
                on_round(epoch + 1, evals_log["validation_0"]["auc"][-1])
            return False

    estimator.set_params(
        n_estimators=MAX_ROUNDS,
        eval_metric=["auc", "logloss"],
        callbacks=[Report(), EarlyStopping(rounds=PATIENCE, metric_name="logloss", save_best=True)],
    )
    estimator.fit(
        data.X_train, data.y_train, eval_set=[(data.X_validation, data.y_validation)], verbose=False
    )
    rounds = estimator.get_booster().num_boosted_rounds()
    # The callbacks belong to this fit, not to the model that is saved.
    estimator.set_params(n_estimators=rounds, callbacks=None, eval_metric=None)
    return rounds


def fit_lightgbm(estimator: Any, data: Matrices, on_round: OnRound | None = None) -> int:
    """Fit an `LGBMClassifier`; it predicts with the trees up to its best round."""
    from lightgbm import early_stopping

    def report(env: Any) -> None:
        if on_round and (env.iteration + 1) % REPORT_EVERY == 0:
            on_round(env.iteration + 1, next(r[2] for r in env.evaluation_result_list if r[1] == "auc"))

    estimator.set_params(n_estimators=MAX_ROUNDS, metric=["binary_logloss", "auc"])
    estimator.fit(
        data.X_train,
        data.y_train,
        eval_X=(data.X_validation,),
        eval_y=(data.y_validation,),
        callbacks=[report, early_stopping(PATIENCE, first_metric_only=True, verbose=False)],
    )
    estimator.set_params(n_estimators=estimator.best_iteration_)
    return int(estimator.best_iteration_)


def transform(preprocessor: Any, train: LabelledSplit, validation: LabelledSplit) -> Matrices:
    """Both splits through a fitted preprocessor."""
    return Matrices(
        preprocessor.transform(train.X), train.y, preprocessor.transform(validation.X), validation.y
    )
