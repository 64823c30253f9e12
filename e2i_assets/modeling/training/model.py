"""The trained model: preprocessor and estimator as one pipeline on the raw feature frame, and its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from e2i_assets.modeling.data import LabelledSplit, transform
from e2i_assets.modeling.errors import ModelFileError
from e2i_assets.modeling.preprocessing.preprocessor import sources_of
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.problem_types import problem_of
from e2i_assets.modeling.selection.candidate import ModelCandidate
from e2i_assets.modeling.training.class_weights import weighted_where_better
from e2i_assets.modeling.training.identity import fingerprint
from e2i_assets.modeling.training.learning_curve import learning_curve
from e2i_assets.modeling.training.model_files import pickled_pipeline, read_model, write_model
from e2i_assets.modeling.training.on_cluster import can_be_spread, fit_on_cluster
from e2i_assets.modeling.training.recalibration import calibrated, uncalibrated

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    from e2i_assets.cluster import Cluster

_LATER = (
    "calibration", "calibration_brier", "learning_curve", "unavailable", "class_weighted", "over_a_cluster",
)  # fmt: skip
_TUPLES = ("features", "labels", "baseline", "learning_curve")


@dataclass(frozen=True)
class TrainedModel:
    """A fitted pipeline and what is known of it.

    Attributes:
        pipeline: takes a frame with the raw feature columns; scikit-learn and the booster's classes only.
        features: the columns that it needs, in the order of training.
        labels: classes in the order of their probabilities, where the scope names them.
        metrics: the problem type's training metrics, each as `train_<name>` and `validation_<name>`.
        baseline: what a model that knows the target of train and no feature predicts for any row.
        best_iteration: boosting rounds kept by early stopping; None for other algorithms.
        feature_importance: share of each raw feature, largest first, sum 1: gain for boosting, impurity for
            forests, absolute standardised coefficient for linear models.
        fingerprint: of the pipeline's content (`training.identity`); the same inputs and libraries give the
            same one, whatever the bytes of its file.
        calibration: of the probabilities (`recalibration.calibrated`); empty where there are none.
        calibration_brier: method to Brier score, cross-validated within validation.
        learning_curve: rows of train and the primary metric on validation (`learning_curve`), not calibrated.
        unavailable: what could not be made of it, with the reason.
        class_weighted: whether rows of a rare class counted for more (`class_weights`).
        over_a_cluster: whether its rows were spread over workers (`on_cluster`); the same inputs then give
            the same model within noise only.
    """

    pipeline: Pipeline
    scope: str
    problem_type: str
    labels: tuple[str, ...]
    algorithm: str
    params: Mapping[str, Any]
    features: tuple[str, ...]
    metrics: Mapping[str, float]
    baseline: tuple[float, ...]
    best_iteration: int | None
    feature_importance: Mapping[str, float]
    n_train: int
    n_validation: int
    seed: int
    fingerprint: str
    # Kept from the moment of training: predicting may touch an estimator, and its bytes would change.
    _pickle: bytes = field(repr=False)
    # What earlier releases did not keep.
    calibration: str = ""
    calibration_brier: Mapping[str, float] = field(default_factory=dict)
    learning_curve: tuple[Mapping[str, float], ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
    class_weighted: bool = False
    over_a_cluster: bool = False

    @property
    def problem(self) -> Problem:
        """The problem type that it was trained for."""
        return problem_of(self.problem_type, self.labels)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """The prediction for each row of a raw feature frame; its shape is the problem type's."""
        return self.problem.predict(self.pipeline, X)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pipeline, as plain JSON types; without what an earlier release did not keep."""
        left_out = {"pipeline", "_pickle", *(name for name in _LATER if not getattr(self, name))}
        plain = {n: v for n, v in vars(self).items() if n not in left_out}
        return {n: dict(v) if isinstance(v, Mapping) else v for n, v in plain.items()} | {
            n: list(plain[n]) for n in _TUPLES if n in plain
        }

    def identity(self) -> str:
        """SHA-256, in hex, of all that is known of the model and, by its fingerprint, of the pipeline."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write `model.joblib` and `model.json` into a folder, which is made when it is not there."""
        write_model(Path(folder), self._pickle, self.to_dict())

    @classmethod
    def load(cls, folder: str | Path) -> TrainedModel:
        """Read what `save` wrote. The file is a pickle: load only what you trust.

        Raises:
            ModelFileError: a file is missing or unreadable, or the model is not the recorded one.
        """
        pipeline, pickled, record = read_model(Path(folder))
        if "problem_type" not in record:
            raise ModelFileError(
                f"{folder}: an earlier release saved this model", "Materialize the trained model again."
            )
        fields = record | {n: tuple(record.get(n, ())) for n in _TUPLES}
        return cls(pipeline=pipeline, _pickle=pickled, **fields)


def train_model(
    candidate: ModelCandidate,
    params: Mapping[str, Any],
    preprocessor: ColumnTransformer,
    train: LabelledSplit,
    validation: LabelledSplit,
    *,
    seed: int,
    cluster: Cluster | None = None,
) -> TrainedModel:
    """Fit the candidate on train; boosting stops early on validation, probabilities are calibrated there.

    Args:
        params: all parameters of the estimator, as in `TunedParams.chosen_params`. With the study's seed the
            model is the one of its best trial.
        preprocessor: fitted on train.
        cluster: whose workers fit XGBoost or LightGBM together; other algorithms are fitted here.

    Returns:
        The model; its threads are set to one, which answers single rows fastest.

    Raises:
        ClusterLost: see `fit_on_cluster`.
    """
    from sklearn.pipeline import Pipeline

    problem = train.problem
    algorithm = problem.algorithm(candidate.algorithm)
    data = transform(preprocessor, train, validation)
    estimator = algorithm.build(params, seed)
    rounds: int | None
    spread = cluster is not None and can_be_spread(estimator)
    if cluster is not None and spread:
        estimator, rounds = fit_on_cluster(estimator, data, problem.loss, cluster)
    else:
        rounds = algorithm.fit(estimator, data)
    on_validation = problem.measure(data.y_validation, problem.predict(estimator, data.X_validation))
    learning = learning_curve(
        algorithm, params, problem, data, on_validation, seed=seed, patients=train.patients
    )
    weighted, calibration = None, None
    if problem.of_classes:
        weighted = weighted_where_better(
            estimator, algorithm, params, problem, data, rounds=rounds, seed=seed
        )
    estimator = served = estimator if weighted is None else weighted
    if "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=1)
    if problem.of_classes:
        served, calibration = calibrated(
            estimator,
            data.X_validation,
            data.y_validation,
            seed=seed,
            needed=weighted is not None,
            patients=validation.patients,
        )
    pipeline = Pipeline([("preprocessor", preprocessor), ("model", served)])
    return TrainedModel(
        pipeline=pipeline,
        scope=candidate.scope,
        problem_type=problem.problem_type,
        labels=problem.labels,
        algorithm=algorithm.name,
        params=dict(params) | ({"n_estimators": rounds} if rounds else {}),
        features=tuple(str(name) for name in preprocessor.feature_names_in_),
        metrics={
            f"{split}_{name}": value
            for split, X, y in (
                ("train", data.X_train, data.y_train),
                ("validation", data.X_validation, data.y_validation),
            )
            for name, value in problem.training_metrics(y, problem.predict(served, X)).items()
        },
        baseline=problem.baseline(data.y_train),
        best_iteration=rounds,
        feature_importance=_importance(estimator, preprocessor),
        n_train=len(train.y),
        n_validation=len(validation.y),
        seed=seed,
        fingerprint=fingerprint(pipeline),
        _pickle=pickled_pipeline(pipeline),
        calibration=calibration.method if calibration else "",
        calibration_brier=calibration.brier if calibration else {},
        learning_curve=learning.points,
        unavailable={"learning": learning.unavailable} if learning.unavailable else {},
        class_weighted=weighted is not None,
        over_a_cluster=spread,
    )


def _importance(estimator: Any, preprocessor: ColumnTransformer) -> dict[str, float]:
    estimator = uncalibrated(estimator)
    if hasattr(estimator, "coef_"):
        raw = np.abs(np.atleast_2d(estimator.coef_)).mean(axis=0)
    elif hasattr(estimator, "booster_"):
        raw = estimator.booster_.feature_importance(importance_type="gain")
    else:
        raw = estimator.feature_importances_
    shares = pd.Series(raw, dtype=float).groupby(sources_of(preprocessor)).sum()
    shares = shares / (shares.sum() or 1.0)
    return {
        str(name): float(share) for name, share in shares.sort_values(ascending=False, kind="stable").items()
    }
