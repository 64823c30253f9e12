"""Fitting one estimator on transformed data; the boosted ones stop early on the validation split.

Early stopping watches the loss, which is smoother than a score on a small split and keeps probabilities
calibrated; the score of each reported round goes to the observer, who may end the fit by raising.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

MAX_ROUNDS = 500
PATIENCE = 30
"""Rounds without a better loss after which boosting stops."""
REPORT_EVERY = 5

OnRound = Callable[[int, float], None]
"""Receives the round (from 1) and the score on validation; an exception ends the fit and is passed on."""


@dataclass(frozen=True)
class Watched:
    """Figures that boosting is watched by on validation, by the library's names.

    Attributes:
        loss: less is better; boosting stops by it.
        score: what the observer hears, times `sign`, so that more is better.
    """

    loss: str
    score: str
    sign: int = 1

    def heard(self, on_round: OnRound | None) -> list[str]:
        """What the library is to compute in each round; the score only for an observer."""
        return list(dict.fromkeys((self.loss, self.score))) if on_round else [self.loss]


@dataclass(frozen=True)
class Matrices:
    """Transformed features (float64, rows by outputs) and targets of train and validation."""

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


def fit_xgboost(estimator: Any, data: Matrices, on_round: OnRound | None = None, *, watched: Watched) -> int:
    """Fit an estimator of XGBoost; the booster is cut at its best round."""
    from xgboost.callback import EarlyStopping, TrainingCallback

    class Report(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if on_round and (epoch + 1) % REPORT_EVERY == 0:
                on_round(epoch + 1, watched.sign * evals_log["validation_0"][watched.score][-1])
            return False

    estimator.set_params(
        n_estimators=MAX_ROUNDS,
        eval_metric=watched.heard(on_round),
        callbacks=[Report(), EarlyStopping(rounds=PATIENCE, metric_name=watched.loss, save_best=True)],
    )
    estimator.fit(
        data.X_train, data.y_train, eval_set=[(data.X_validation, data.y_validation)], verbose=False
    )
    rounds = estimator.get_booster().num_boosted_rounds()
    # The callbacks belong to this fit, not to the model that is saved.
    estimator.set_params(n_estimators=rounds, callbacks=None, eval_metric=None)
    return rounds


def fit_lightgbm(estimator: Any, data: Matrices, on_round: OnRound | None = None, *, watched: Watched) -> int:
    """Fit an estimator of LightGBM; it predicts with the trees up to its best round."""
    from lightgbm import early_stopping

    def report(env: Any) -> None:
        if on_round and (env.iteration + 1) % REPORT_EVERY == 0:
            score = next(r[2] for r in env.evaluation_result_list if r[1] == watched.score)
            on_round(env.iteration + 1, watched.sign * score)

    estimator.set_params(n_estimators=MAX_ROUNDS, metric=watched.heard(on_round))
    estimator.fit(
        data.X_train,
        data.y_train,
        eval_X=(data.X_validation,),
        eval_y=(data.y_validation,),
        callbacks=[report, early_stopping(PATIENCE, first_metric_only=True, verbose=False)],
    )
    estimator.set_params(n_estimators=estimator.best_iteration_)
    return int(estimator.best_iteration_)
