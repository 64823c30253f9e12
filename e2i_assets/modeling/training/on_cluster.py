"""Boosting whose rows are spread over the workers of a Dask cluster, which grow each tree together.

Each worker adds up its own rows, so that a model is equal to one process's within noise, not to the byte;
LightGBM's also depends on the order in which its workers find each other. It is for tables that take one
process too long, and never the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from e2i_assets.cluster import ClusterLost
from e2i_assets.modeling.training.fitting import MAX_ROUNDS, PATIENCE, REPORT_EVERY, Matrices

if TYPE_CHECKING:
    from distributed import Client

    from e2i_assets.cluster import Cluster

ATTEMPTS = 3
"""Fits that may lose a worker; the next one has its rows on those that are left."""

_Loss = Callable[[np.ndarray, np.ndarray], float]


def can_be_spread(estimator: Any) -> bool:
    """Whether an estimator's library fits over a cluster."""
    return _library(estimator) in FITS


def fit_on_cluster(estimator: Any, data: Matrices, loss: _Loss, cluster: Cluster) -> tuple[Any, int]:
    """Fit an estimator of XGBoost or LightGBM, stopped at its best round on validation.

    Args:
        estimator: unfitted.
        loss: of (y, prediction) on validation: LightGBM's rounds are chosen by it when all are grown, since
            its workers cannot stop together.

    Returns:
        An estimator of the same class that needs no cluster, and its boosting rounds.

    Raises:
        ClusterLost: workers were lost in each attempt, or none is left.
    """
    fit = FITS[_library(estimator)]
    first = set(_workers(cluster.client))
    for _ in range(ATTEMPTS):
        try:
            with cluster.client.as_current():
                return fit(estimator, data, loss, cluster.client)
        except Exception:
            # Each library has its own error for a partner that is gone; with all there, it is another one.
            if first and first <= set(_workers(cluster.client)):
                raise
    raise ClusterLost("the Dask cluster lost workers that a model was trained on")


def _library(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def _workers(client: Client) -> list[str]:
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def _fit_xgboost(estimator: Any, data: Matrices, loss: _Loss, client: Client) -> tuple[Any, int]:
    from xgboost import dask as distributed_xgboost
    from xgboost.callback import EarlyStopping

    kind = getattr(distributed_xgboost, f"Dask{type(estimator).__name__}")
    spread = kind(**estimator.get_params())
    spread.set_params(n_estimators=MAX_ROUNDS, callbacks=[EarlyStopping(rounds=PATIENCE, save_best=True)])
    validation = [_placed(client, part) for part in (data.X_validation, data.y_validation)]
    spread.fit(
        *(_placed(client, part) for part in (data.X_train, data.y_train)),
        eval_set=[tuple(validation)],
        verbose=False,
    )
    booster = spread.get_booster()
    estimator.load_model(booster.save_raw("ubj"))
    rounds = booster.num_boosted_rounds()
    return estimator.set_params(n_estimators=rounds), rounds


def _fit_lightgbm(estimator: Any, data: Matrices, loss: _Loss, client: Client) -> tuple[Any, int]:
    import lightgbm

    kind = getattr(lightgbm, f"Dask{type(estimator).__name__}")
    spread = kind(client=client, **estimator.get_params() | {"n_estimators": MAX_ROUNDS})
    spread.fit(*(_placed(client, part) for part in (data.X_train, data.y_train)))
    local = spread.to_local()
    rounds = _best_round(local, data, loss)
    local.booster_.best_iteration = rounds
    return local.set_params(n_estimators=rounds), rounds


FITS: Mapping[str, Callable[..., tuple[Any, int]]] = {"xgboost": _fit_xgboost, "lightgbm": _fit_lightgbm}
"""By the library of an estimator."""


def _placed(client: Client, values: np.ndarray) -> Any:
    """A Dask array whose rows are divided among the workers, always in the same way."""
    import dask.array as da

    workers = _workers(client)
    parts = np.array_split(values, len(workers))
    sent = [
        client.scatter(part, workers=[worker], hash=False)
        for part, worker in zip(parts, workers, strict=True)
    ]
    return da.concatenate(
        [
            da.from_delayed(future, shape=part.shape, dtype=part.dtype)
            for future, part in zip(sent, parts, strict=True)
        ]
    )


def _best_round(model: Any, data: Matrices, loss: _Loss) -> int:
    """Of every few rounds the one with the least loss on validation."""
    booster, raw = model.booster_, 0.0
    losses = {}
    for start in range(0, booster.current_iteration(), REPORT_EVERY):
        raw = raw + booster.predict(
            data.X_validation, start_iteration=start, num_iteration=REPORT_EVERY, raw_score=True
        )
        losses[min(start + REPORT_EVERY, booster.current_iteration())] = loss(
            data.y_validation, _prediction(raw, model.objective_)
        )
    return min(losses, key=losses.__getitem__)


def _prediction(raw: np.ndarray, objective: str) -> np.ndarray:
    from scipy.special import expit, softmax

    if objective == "multiclass":
        return softmax(raw, axis=1)
    return expit(raw) if objective == "binary" else raw
