"""How each algorithm of the catalogue is run: its defaults, its search space, how it is built and fitted.

A problem type takes what fits its target, and says which figures are watched. Search spaces have the guide's
format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from e2i_assets.modeling.selection.catalogue import CATALOGUE, Profile
from e2i_assets.modeling.training.fitting import Fit, Watched, fit_lightgbm, fit_plain, fit_xgboost

Params = Mapping[str, Any]
SearchSpace = Mapping[str, Mapping[str, Any]]

THREADS = 1
"""Threads of one fit. Partitions already run side by side, and threads that wait for a busy core made a small
study ten times slower; a fixed number also keeps XGBoost's sums the same to the last digit everywhere.
"""

COARSE_BINS = 63
"""Bins of a feature where trials are ranked on a sample: a fit then takes half of the time."""


Kind = Literal["Classifier", "Regressor"]
"""How the libraries' estimators are named by what they tell."""


@dataclass(frozen=True)
class Algorithm:
    """One kind of model, for one kind of target.

    Attributes:
        defaults: parameters without tuning. For boosting `n_estimators` is the number of rounds where
            there is no validation split; with one, early stopping finds it.
        search_space: `{name: {type: int|float|categorical, low, high, step?, log?, choices?}}`.
        build: (params, seed) to an unfitted scikit-learn estimator.
        fit: fits it, stopping early where the algorithm can.
        coarse: parameters on top of these where trials are only ranked, on a sample of the rows: a tree on
            few rows spends its time on bins that hold next to none of them.
    """

    name: str
    defaults: Params
    search_space: SearchSpace
    build: Callable[[Params, int], Any]
    fit: Fit = field(default=fit_plain)
    coarse: Params = field(default_factory=dict)

    @property
    def profile(self) -> Profile:
        """What it promises before anything is measured."""
        return CATALOGUE[self.name]

    @property
    def family(self) -> str:
        """Of the catalogue."""
        return self.profile.family

    @property
    def library_class(self) -> str:
        """The class of its library, with its module; of a model inside another, the inner one's."""
        estimator = self.build(self.defaults, 0)
        kind = type(getattr(estimator, "regressor", estimator))
        return f"{kind.__module__}.{kind.__qualname__}"


def xgboost(kind: Kind, watched: Watched) -> Algorithm:
    """XGBoost's `XGBClassifier` or `XGBRegressor`, stopped early by what is watched on validation."""

    def build(params: Params, seed: int) -> Any:
        import xgboost

        return getattr(xgboost, f"XGB{kind}")(
            **params, tree_method="hist", random_state=seed, n_jobs=THREADS, verbosity=0
        )

    return Algorithm(
        "XGBoost",
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
        coarse={"max_bin": COARSE_BINS},
    )  # fmt: skip


def lightgbm(kind: Kind, watched: Watched) -> Algorithm:
    """LightGBM's `LGBMClassifier` or `LGBMRegressor`, stopped early by what is watched on validation."""

    def build(params: Params, seed: int) -> Any:
        import lightgbm

        return getattr(lightgbm, f"LGBM{kind}")(
            **params, subsample_freq=1, random_state=seed, n_jobs=THREADS, deterministic=True,
            force_row_wise=True, verbose=-1,
        )  # fmt: skip

    return Algorithm(
        "LightGBM",
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
        coarse={"max_bin": COARSE_BINS},
    )  # fmt: skip


def forest(name: str, kind: Kind) -> Algorithm:
    """scikit-learn's `RandomForest…` or `ExtraTrees…`, by name.

    The first choice of `max_features` is the default: numbers need more features at a split than classes.
    """
    features: Sequence[str | float] = ("sqrt", "log2", 0.5) if kind == "Classifier" else (0.33, 0.67, 1.0)

    def build(params: Params, seed: int) -> Any:
        from sklearn import ensemble

        return getattr(ensemble, f"{name}{kind}")(**params, random_state=seed, n_jobs=THREADS)

    return Algorithm(
        name,
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


def logistic_regression() -> Algorithm:
    """scikit-learn's `LogisticRegression`, from the ridge's penalty to the lasso's."""

    def build(params: Params, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        # The solver follows from the penalty, so that no invalid pair can be asked for: lbfgs knows L2 only.
        solver = "lbfgs" if params["l1_ratio"] == 0 else "saga"
        return LogisticRegression(**params, solver=solver, max_iter=5000, tol=1e-3, random_state=seed)

    return Algorithm(
        "LogisticRegression",
        defaults={"C": 1.0, "l1_ratio": 0.0},
        search_space={
            "C": {"type": "float", "low": 0.001, "high": 10.0, "log": True},
            "l1_ratio": {"type": "categorical", "choices": [0.0, 0.25, 0.5, 0.75, 1.0]},
        },
        build=build,
    )


def penalised(name: str, alpha: float, low: float, high: float) -> Algorithm:
    """scikit-learn's `Ridge` or `Lasso`, in standard deviations of the target: a penalty then means the same
    whatever its unit.

    Args:
        alpha, low, high: the penalty by default, and between which ones the best is looked for.
    """

    def build(params: Params, seed: int) -> Any:
        from sklearn import linear_model
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.preprocessing import StandardScaler

        model = getattr(linear_model, name)(**params, max_iter=5000, random_state=seed)
        return TransformedTargetRegressor(model, transformer=StandardScaler())

    return Algorithm(
        name,
        defaults={"alpha": alpha},
        search_space={"alpha": {"type": "float", "low": low, "high": high, "log": True}},
        build=build,
    )


def classifiers(xgboost_watches: Watched, lightgbm_watches: Watched) -> Mapping[str, Algorithm]:
    """Every algorithm that tells classes apart, by name."""
    return _by_name(
        xgboost("Classifier", xgboost_watches),
        lightgbm("Classifier", lightgbm_watches),
        forest("RandomForest", "Classifier"),
        forest("ExtraTrees", "Classifier"),
        logistic_regression(),
    )


def regressors(watched: Watched) -> Mapping[str, Algorithm]:
    """Every algorithm that tells a number, by name."""
    return _by_name(
        xgboost("Regressor", watched),
        lightgbm("Regressor", watched),
        forest("RandomForest", "Regressor"),
        forest("ExtraTrees", "Regressor"),
        penalised("Ridge", 10.0, 0.01, 1000.0),
        penalised("Lasso", 0.01, 0.0001, 1.0),
    )


def _by_name(*algorithms: Algorithm) -> Mapping[str, Algorithm]:
    return {a.name: a for a in algorithms}
