"""The model of effects that is served: a learner that beat the constant effect, or the constant effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from e2i_assets.causal.cate import CONSTANT, Calibrated, CateChoice, choose_learner, fit_learner, predicted
from e2i_assets.causal.report import Effect, EffectReport, Estimand
from e2i_assets.causal.scores import EffectGroup, effect_scores
from e2i_assets.json_files import from_json, json_hash, to_json
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.base import Answer
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.selection.catalogue import CATALOGUE, CAUSAL, INTERPRETABLE
from e2i_assets.modeling.selection.one_row import asked
from e2i_assets.modeling.training.identity import fingerprint
from e2i_assets.modeling.training.model_files import pickled_pipeline, read_model, write_model
from e2i_assets.modeling.uplift.importance import effect_importance, largest_first
from e2i_assets.modeling.uplift.rows import CausalRows
from e2i_assets.modeling.uplift.segments import effect_by_segment

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

NORMAL = 1.96
"""Standard errors to each side of a 95 % interval."""


@dataclass(frozen=True)
class UpliftModel:
    """A fitted model of effects and what is known of it.

    Attributes:
        pipeline: preprocessor of the raw features, and then the learner, or what always gives the constant.
        algorithm: the learner's name, or `ConstantEffect`.
        features: the columns that it needs, in the order of training.
        choice: how learners did against the constant effect.
        line: the mean effect on patients of like predictions, by the learner's prediction.
        average: the average effect, of `estimand`.
        segments: effects on groups of the patients that it was fitted on, of scores that were cross-fitted.
        importance: mean |SHAP value| of each raw feature in units of the effect, the largest first; of the
            constant effect, which differs by none, empty.
        n_train, n_validation: rows of each split that it was fitted on.
        fingerprint: of the pipeline.
    """

    pipeline: Pipeline
    scope: str
    treatment: str
    target: str
    algorithm: str
    nuisance: str
    features: tuple[str, ...]
    choice: CateChoice
    line: Calibrated
    average: Effect
    estimand: Estimand
    segments: tuple[EffectGroup, ...]
    importance: Mapping[str, float]
    n_train: int
    n_validation: int
    seed: int
    fingerprint: str
    _pickle: bytes = field(repr=False)

    @property
    def constant(self) -> bool:
        """Whether everybody gets the same effect."""
        return self.algorithm == CONSTANT

    @property
    def method(self) -> str:
        """How the pipeline is asked (`one_row.asked`)."""
        return "predict" if self.constant else "effect"

    @property
    def params(self) -> Mapping[str, Any]:
        """What the learner was made with."""
        return {} if self.constant else {"nuisance": self.nuisance}

    @property
    def metrics(self) -> Mapping[str, float]:
        """R-loss on held-out rows, and by how much it is less than the constant effect's."""
        best = self.choice.best
        figures = {"r_loss_constant": self.choice.constant_loss, "average_effect": self.average.estimate}
        if best is not None:
            figures |= {"r_loss_best": best.r_loss, "gain": best.gain, "gain_in_noises": best.in_noises}
        return figures

    def raw(self, X: pd.DataFrame) -> np.ndarray:
        """What the pipeline gives for each row, before the line."""
        return np.asarray(asked(self.pipeline, self.method)(X), dtype=float)

    def predict(self, X: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Effect on each row of a raw feature frame, and the ends of its 95 % interval."""
        effects, noise = self.line.effects(self.raw(X))
        return effects, effects - self.reach * noise, effects + self.reach * noise

    @property
    def reach(self) -> float:
        """Standard errors to each side of a 95 % interval; of the constant effect as many as published."""
        average = self.average
        if not self.constant or not average.standard_error > 0:
            return NORMAL
        return (average.high - average.estimate) / average.standard_error

    def answer(self) -> Answer:
        """What a client gets."""
        level, both, slope = self.line.covariance
        return Answer(
            service="causal-service",
            port=3003,
            method=self.method,  # type: ignore[arg-type]
            gives="effect",
            facts={"treatment": self.treatment, "outcome": self.target, "estimand": self.estimand},
            line={
                "level": self.line.level, "slope": self.line.slope, "centre": self.line.centre,
                "var_level": level, "cov": both, "var_slope": slope, "reach": self.reach,
                "average": self.average.estimate, "average_error": self.average.standard_error,
            },
        )  # fmt: skip

    def _record(self) -> dict[str, Any]:
        fields = {name: value for name, value in vars(self).items() if name not in ("pipeline", "_pickle")}
        structured = ("choice", "line", "average", "segments")
        return {name: _json(value) if name in structured else value for name, value in fields.items()}

    def identity(self) -> str:
        """Hash of all that is known of the model and, by its fingerprint, of the pipeline."""
        return json_hash(self._record())

    def save(self, folder: Path) -> None:
        """model.joblib and model.json"""
        write_model(folder, self._pickle, self._record())

    @classmethod
    def load(cls, folder: Path) -> UpliftModel:
        """Read what `save` wrote. The file is a pickle: load only what you trust.

        Raises:
            ModelFileError: a file is missing or unreadable, or the model is not the recorded one.
        """
        pipeline, pickled, record = read_model(folder)
        return cls(
            pipeline=pipeline,
            _pickle=pickled,
            **record
            | {
                "features": tuple(record["features"]),
                "choice": from_json(CateChoice, record["choice"]),
                "line": from_json(Calibrated, record["line"]),
                "average": from_json(Effect, record["average"]),
                "segments": tuple(from_json(EffectGroup, group) for group in record["segments"]),
                "importance": largest_first(record["importance"]),  # the file is in order of names
            },
        )


def _json(value: Any) -> Any:
    return [to_json(part) for part in value] if isinstance(value, tuple) else to_json(value)


def candidates(scope: CausalScope) -> tuple[str, ...]:
    """The learners that a scope allows, those that it prefers first."""
    wanted = scope.selection
    allowed = [
        name
        for name in CAUSAL
        if name not in wanted.excluded_algorithms
        and (not wanted.interpretability_required or CATALOGUE[name].interpretability >= INTERPRETABLE)
    ]
    return tuple(sorted(allowed, key=lambda name: name not in wanted.preferred_algorithms))


def train_uplift(
    rows: CausalRows,
    report: EffectReport,
    *,
    n_train: int,
    seed: int,
    minimum_cell_count: int,
    accept: Callable[[CateChoice], bool],
    on_learner: Callable[[str], None] = lambda _: None,
) -> UpliftModel:
    """Choose among the learners and the constant effect, and fit what was chosen on all rows.

    Args:
        rows: train's first, then validation's.
        report: the average effect, as it was published.
        n_train: how many of the rows are train's.
        accept: the gate's judgement: whether the best learner may be served.

    Raises:
        TrainingDataError: the effect is not identified, so that there is nothing to serve.
    """
    if report.effect is None:
        raise TrainingDataError(
            f"the effect of {report.treatment} is not identified: {report.explanation}",
            "Do what the gates of effect_estimate say.",
        )
    known = rows.with_outcome
    X, t, y = known.frame[known.names], known.t, known.y
    preprocessor = fit_preprocessor(X, known.covariates, minimum_cell_count=minimum_cell_count)
    matrix, nuisance = preprocessor.transform(X), known.nuisance(seed=seed)
    choice = choose_learner(
        matrix, t, y, nuisance.expected, nuisance.folds,
        nuisance=nuisance.kind, learners=candidates(rows.scope), seed=seed, on_learner=on_learner,
        clusters=known.cluster_numbers,
    )  # fmt: skip
    best, importance = choice.best, {}
    if best is not None and choice.calibrated is not None and accept(choice):
        algorithm, line = best.learner, choice.calibrated
        learner = fit_learner(algorithm, nuisance.kind, matrix, t, y, seed)
        importance = effect_importance(
            preprocessor, lambda M: line.effects(predicted(learner, M))[0], X, seed=seed
        )
    else:
        algorithm, line = CONSTANT, _constant_line(report.effect)
        learner = _constant_model(report.effect, matrix)
    scope = rows.scope
    return _assembled(
        scope, preprocessor, learner, algorithm=algorithm, nuisance=nuisance.kind, choice=choice, line=line,
        average=report.effect, estimand=report.estimand, importance=importance, seed=seed,
        n_train=n_train, n_validation=len(rows.frame) - n_train,
        segments=effect_by_segment(
            known.frame, scope, effect_scores(y, t, nuisance.expected), minimum=minimum_cell_count,
            clusters=known.cluster_numbers,
        ),
    )  # fmt: skip


def _assembled(
    scope: CausalScope, preprocessor: Any, learner: Any, *, line: Calibrated, **known: Any
) -> UpliftModel:
    from sklearn.pipeline import Pipeline

    pipeline = Pipeline([("preprocessor", preprocessor), ("model", learner)])
    return UpliftModel(
        pipeline=pipeline,
        scope=scope.name,
        treatment=scope.treatment,
        target=scope.target,
        features=tuple(str(name) for name in preprocessor.feature_names_in_),
        line=line,
        fingerprint=fingerprint(pipeline),
        _pickle=pickled_pipeline(pipeline),
        **known,
    )


def _constant_line(effect: Effect) -> Calibrated:
    return Calibrated(effect.estimate, 0.0, effect.estimate, (effect.standard_error**2, 0.0, 0.0))


def _constant_model(effect: Effect, matrix: np.ndarray) -> Any:
    from sklearn.dummy import DummyRegressor

    model = DummyRegressor(strategy="constant", constant=effect.estimate)
    return model.fit(matrix, np.zeros(len(matrix)))
