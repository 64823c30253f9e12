"""The five causal learners of the catalogue: defaults, search spaces, and how each is built.

All are econml's own classes, fitted by `fit(Y, T, X=X)` on numbers without gaps and asked by `effect(X)`, one
effect for each row: the outcome with the treatment less the outcome without. The treatment is 0/1; of a 0/1
outcome the effect is a difference of probabilities. What they are made of runs on one thread and is seeded,
so that the same rows give the same effects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Params = Mapping[str, Any]

NUISANCE = ("boosted", "linear")
"""Kinds of models for the outcome and for who is treated; the first is the default."""
LEAST_PROPENSITY = 0.01
"""A treatment less probable than this counts as this probable: one row must not outweigh a hundred."""


@dataclass(frozen=True)
class Learner:
    """One causal learner.

    Attributes:
        defaults: parameters without tuning.
        search_space: `{name: {type: int|float|categorical, low, high, step?, log?, choices?}}`.
        build: (params, seed) to an unfitted econml estimator.
    """

    name: str
    defaults: Params
    search_space: Mapping[str, Mapping[str, Any]]
    build: Callable[[Params, int], Any]


def outcome_model(kind: str, seed: int) -> Any:
    """Expected outcome; of 0/1 it is the probability."""
    from lightgbm import LGBMRegressor
    from sklearn.linear_model import RidgeCV

    return RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)) if kind == "linear" else LGBMRegressor(**_small(seed))


def treatment_model(kind: str, seed: int) -> Any:
    """Probability of the treatment."""
    from lightgbm import LGBMClassifier
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000) if kind == "linear" else LGBMClassifier(**_small(seed))


def _small(seed: int) -> dict[str, Any]:
    """Trees that find what a line does not, and no more."""
    return {
        "n_estimators": 100, "num_leaves": 7, "learning_rate": 0.05, "min_child_samples": 20,
        "reg_lambda": 1.0, "random_state": seed, "n_jobs": 1, "deterministic": True, "force_row_wise": True,
        "verbose": -1,
    }  # fmt: skip


def _causal_forest(params: Params, seed: int) -> Any:
    from econml.dml import CausalForestDML

    forest = {name: value for name, value in params.items() if name != "nuisance"}
    return CausalForestDML(
        model_y=outcome_model(params["nuisance"], seed), model_t=treatment_model(params["nuisance"], seed),
        discrete_treatment=True, n_jobs=1, random_state=seed, **forest,
    )  # fmt: skip


def _linear_dml(params: Params, seed: int) -> Any:
    from econml.dml import LinearDML

    return LinearDML(
        model_y=outcome_model(params["nuisance"], seed), model_t=treatment_model(params["nuisance"], seed),
        discrete_treatment=True, cv=params["cv"], random_state=seed,
    )  # fmt: skip


def _dr_learner(params: Params, seed: int) -> Any:
    from econml.dr import LinearDRLearner

    return LinearDRLearner(
        model_regression=outcome_model(params["nuisance"], seed),
        model_propensity=treatment_model(params["nuisance"], seed),
        min_propensity=LEAST_PROPENSITY, cv=params["cv"], random_state=seed,
    )  # fmt: skip


def _x_learner(params: Params, seed: int) -> Any:
    from econml.metalearners import XLearner

    return XLearner(
        models=outcome_model(params["nuisance"], seed), cate_models=outcome_model(params["effect"], seed),
        propensity_model=treatment_model(params["nuisance"], seed),
    )  # fmt: skip


def _t_learner(params: Params, seed: int) -> Any:
    from econml.metalearners import TLearner

    return TLearner(models=outcome_model(params["nuisance"], seed))


_NUISANCE: Mapping[str, Any] = {"type": "categorical", "choices": list(NUISANCE)}
_FOLDS: Mapping[str, Any] = {"type": "int", "low": 3, "high": 5}

LEARNERS: Mapping[str, Learner] = {
    learner.name: learner
    for learner in (
        Learner(
            "CausalForest",
            {"nuisance": "boosted", "n_estimators": 200, "max_depth": 10, "min_samples_leaf": 10, "cv": 5},
            {
                "nuisance": _NUISANCE,
                "n_estimators": {"type": "int", "low": 100, "high": 1000, "step": 100},
                "max_depth": {"type": "int", "low": 5, "high": 20},
                "min_samples_leaf": {"type": "int", "low": 5, "high": 50, "step": 5},
            },
            _causal_forest,
        ),
        Learner(
            "LinearDML",
            {"nuisance": "boosted", "cv": 5},
            {"nuisance": _NUISANCE, "cv": _FOLDS},
            _linear_dml,
        ),
        Learner(
            "DRLearner",
            {"nuisance": "boosted", "cv": 5},
            {"nuisance": _NUISANCE, "cv": _FOLDS},
            _dr_learner,
        ),
        Learner(
            "XLearner",
            {"nuisance": "boosted", "effect": "boosted"},
            {"nuisance": _NUISANCE, "effect": _NUISANCE},
            _x_learner,
        ),
        Learner("TLearner", {"nuisance": "boosted"}, {"nuisance": _NUISANCE}, _t_learner),
    )
}
"""By the name that the catalogue has."""
