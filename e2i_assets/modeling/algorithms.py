"""The table of algorithms: what each promises, its defaults, its search space, and how it is built.

A problem type takes from it what fits its target, and says which estimator and which figures are watched.
Latency, memory, interpretability and success rates are the guide's planning figures, used to rank before
anything is measured. Search spaces have the guide's format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from e2i_assets.modeling.fitting import Fit, Watched, fit_lightgbm, fit_plain, fit_xgboost

Params = Mapping[str, Any]
SearchSpace = Mapping[str, Mapping[str, Any]]

THREADS = 1
"""Threads of one fit. Partitions already run side by side, and threads that wait for a busy core made a small
study ten times slower; a fixed number also keeps XGBoost's sums the same to the last digit everywhere.
"""


@dataclass(frozen=True)
class Algorithm:
    """One kind of model.

    Attributes:
        interpretability: 0 to 1, from the guide; 0.7 and more counts as interpretable.
        latency_ms, memory_gb: per prediction and while serving, from the guide.
        success_rate: how often it did well on such problems, the starting value of the ranking.
        defaults: parameters without tuning. For boosting `n_estimators` is the number of rounds where
            there is no validation split; with one, early stopping finds it.
        search_space: `{name: {type: int|float|categorical, low, high, step?, log?, choices?}}`.
        build: (params, seed) to an unfitted scikit-learn estimator.
        fit: fits it, stopping early where the algorithm can.
    """

    name: str
    family: str
    interpretability: float
    latency_ms: float
    memory_gb: float
    success_rate: float
    defaults: Params
    search_space: SearchSpace
    build: Callable[[Params, int], Any]
    fit: Fit = field(default=fit_plain)


def xgboost(estimator: str, watched: Watched) -> Algorithm:
    """XGBoost's `XGBClassifier` or `XGBRegressor`, stopped early by what is watched on validation."""

    def build(params: Params, seed: int) -> Any:
        import xgboost

        return getattr(xgboost, estimator)(
            **params, tree_method="hist", random_state=seed, n_jobs=THREADS, verbosity=0
        )

    return Algorithm(
        name="XGBoost",
        family="gradient_boosting",
        interpretability=0.6,
        latency_ms=20,
        memory_gb=2.0,
        success_rate=0.78,
        defaults={
            "n_estimators": 100, "max_depth": 3, "learning_rate": 0.05, "subsample": 0.8,
            "colsample_bytree": 0.8, "min_child_weight": 5, "reg_lambda": 1.0,
        },
        search_space={
            "max_depth": {"type": "int", "low": 2, "high": 6},
            "learning_rate": {"type": "float", "low": 0.03, "high": 0.3, "log": True},
            "subsample": {"type": "float", "low": 0.6, "high": 1.0},
            "colsample_bytree": {"type": "float", "low": 0.4, "high": 1.0},
            "min_child_weight": {"type": "int", "low": 1, "high": 20},
            "reg_lambda": {"type": "float", "low": 0.1, "high": 30.0, "log": True},
        },
        build=build,
        fit=partial(fit_xgboost, watched=watched),
    )  # fmt: skip


def lightgbm(estimator: str, watched: Watched) -> Algorithm:
    """LightGBM's `LGBMClassifier` or `LGBMRegressor`, stopped early by what is watched on validation."""

    def build(params: Params, seed: int) -> Any:
        import lightgbm

        return getattr(lightgbm, estimator)(
            **params, subsample_freq=1, random_state=seed, n_jobs=THREADS, deterministic=True,
            force_row_wise=True, verbose=-1,
        )  # fmt: skip

    return Algorithm(
        name="LightGBM",
        family="gradient_boosting",
        interpretability=0.6,
        latency_ms=15,
        memory_gb=1.5,
        success_rate=0.76,
        defaults={
            "n_estimators": 100, "num_leaves": 7, "learning_rate": 0.05, "subsample": 0.8,
            "colsample_bytree": 0.8, "min_child_samples": 20, "reg_lambda": 1.0,
        },
        search_space={
            "num_leaves": {"type": "int", "low": 3, "high": 31},
            "learning_rate": {"type": "float", "low": 0.03, "high": 0.3, "log": True},
            "subsample": {"type": "float", "low": 0.6, "high": 1.0},
            "colsample_bytree": {"type": "float", "low": 0.4, "high": 1.0},
            "min_child_samples": {"type": "int", "low": 5, "high": 50},
            "reg_lambda": {"type": "float", "low": 0.1, "high": 30.0, "log": True},
        },
        build=build,
        fit=partial(fit_lightgbm, watched=watched),
    )  # fmt: skip


def random_forest(estimator: str, features: Sequence[str | float] = ("sqrt", "log2")) -> Algorithm:
    """scikit-learn's `RandomForestClassifier` or `RandomForestRegressor`.

    Args:
        features: how many a split looks at; the first is the default.
    """

    def build(params: Params, seed: int) -> Any:
        from sklearn import ensemble

        return getattr(ensemble, estimator)(**params, random_state=seed, n_jobs=THREADS)

    return Algorithm(
        name="RandomForest",
        family="ensemble",
        interpretability=0.5,
        latency_ms=30,
        memory_gb=3.0,
        success_rate=0.72,
        defaults={
            "n_estimators": 100, "max_depth": 10, "min_samples_split": 5, "min_samples_leaf": 5,
            "max_features": features[0],
        },
        search_space={
            "max_depth": {"type": "int", "low": 3, "high": 20},
            "min_samples_split": {"type": "int", "low": 2, "high": 20},
            "min_samples_leaf": {"type": "int", "low": 1, "high": 20},
            "max_features": {"type": "categorical", "choices": list(features)},
        },
        build=build,
    )  # fmt: skip


def linear(name: str, build: Callable[[Params, int], Any], defaults: Params, space: SearchSpace) -> Algorithm:
    """A linear model, whose name, penalty and solver depend on the target."""
    return Algorithm(
        name=name,
        family="linear",
        interpretability=1.0,
        latency_ms=1,
        memory_gb=0.1,
        success_rate=0.65,
        defaults=defaults,
        search_space=space,
        build=build,
    )


def _logistic_regression(params: Params, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    # The solver follows from the penalty, so that no invalid pair can be asked for: lbfgs knows L2 only.
    solver = "lbfgs" if params["l1_ratio"] == 0 else "saga"
    return LogisticRegression(**params, solver=solver, max_iter=5000, tol=1e-3, random_state=seed)


def classifiers(xgboost_watches: Watched, lightgbm_watches: Watched) -> Mapping[str, Algorithm]:
    """Every algorithm that tells classes apart, by name."""
    return by_name(
        xgboost("XGBClassifier", xgboost_watches),
        lightgbm("LGBMClassifier", lightgbm_watches),
        random_forest("RandomForestClassifier"),
        linear(
            "LogisticRegression",
            _logistic_regression,
            {"C": 1.0, "l1_ratio": 0.0},
            {
                "C": {"type": "float", "low": 0.001, "high": 10.0, "log": True},
                "l1_ratio": {"type": "categorical", "choices": [0.0, 0.25, 0.5, 0.75, 1.0]},
            },
        ),
    )


def by_name(*algorithms: Algorithm) -> Mapping[str, Algorithm]:
    """Algorithms by name, in their order."""
    return {a.name: a for a in algorithms}
