"""How good a model of effects is on test, which no model has seen: all from doubly robust scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.causal.cate import CateChoice
from e2i_assets.causal.report import Effect
from e2i_assets.causal.scores import (
    EffectGroup,
    Estimate,
    Expected,
    PolicyValue,
    Ranking,
    calibration,
    effect_scores,
    mean_of,
    policy_value,
    ranking,
)
from e2i_assets.json_files import from_json, read_json, to_json, write_json
from e2i_assets.modeling.errors import TrainingDataError
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.rows import CausalRows
from e2i_assets.modeling.uplift.segments import effect_by_segment


@dataclass(frozen=True)
class AgainstTruth:
    """A model of effects beside what is true, which is known of synthetic patients alone.

    Attributes:
        average: true average effect on the test patients.
        within: whether the interval of the published average effect has the true average of the patients
            that it was estimated on.
        correlation: of predicted and true effects; None where all predictions are the same.
        regret: by how much more, per patient, the best choice of as many patients would gain.
        gain: per patient, of treating whom the model chooses; `best` of whom the truth would.
    """

    average: float
    within: bool
    correlation: float | None
    regret: float
    gain: float
    best: float


@dataclass(frozen=True)
class UpliftEvaluation:
    """The figures of one model of effects on test. Aggregates only.

    Attributes:
        average: effect on the test patients; `published` is that of train and validation.
        qini: Qini, AUUC and their curve; None where all effects are the same, and nobody is ranked.
        policy: what treating those with the largest effects brings.
        calibration: predicted and measured effects in groups of equal size.
        segments: the same by age band, sex, region, insurance and what the scope names.
        truth: None of real patients.
        unavailable: what could not be computed, with the reason.
        beyond_predicted: measured effect less the predicted one, on average; None in an earlier record.
    """

    algorithm: str
    fingerprint: str
    rows: int
    average: Estimate
    published: Effect
    choice: CateChoice
    qini: Ranking | None
    policy: PolicyValue
    calibration: tuple[EffectGroup, ...]
    segments: tuple[EffectGroup, ...]
    truth: AgainstTruth | None = None
    unavailable: dict[str, str] = field(default_factory=dict)
    beyond_predicted: Estimate | None = None


@dataclass(frozen=True)
class UpliftEvaluated:
    """The evaluation of one model of effects, on the test split opened once.

    Attributes:
        predicted: profile of the effects that are predicted for all patients of test, as a document of
            `monitoring.ReferenceProfile`; empty in an earlier record.
    """

    evaluation: UpliftEvaluation
    model_fingerprint: str
    predicted: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """evaluation.json"""
        write_json(folder, "evaluation.json", to_json(self))

    @classmethod
    def load(cls, folder: Path) -> UpliftEvaluated:
        """Read it."""
        return from_json(cls, read_json(folder, "evaluation.json"))


def evaluate_uplift(
    model: UpliftModel,
    test: CausalRows,
    others: CausalRows,
    *,
    seed: int,
    minimum: int,
    truth: tuple[np.ndarray, np.ndarray] | None = None,
    effects: np.ndarray | None = None,
) -> UpliftEvaluation:
    """Score a model of effects once on test.

    What is expected of a test row comes from models that were fitted on other rows, those of train and
    validation among them; test alone would be too few to fit any.

    Args:
        others: the rows that the model was fitted on.
        minimum: rows below which nothing is told of a segment.
        truth: true effects of the test rows with a known outcome, and of `others`.
        effects: predicted effects of these rows, where the model is asked elsewhere.

    Raises:
        TrainingDataError: the outcome of no test row is known.
    """
    known = test.with_outcome
    if known.frame.empty:
        raise TrainingDataError(
            f"{test.scope.target} is known of no test patient, so that nothing can be told of the model",
            "Load a source that has it, or widen the cohort.",
        )
    first = others.with_outcome
    together = CausalRows(
        pd.concat([first.frame, known.frame], ignore_index=True), test.scope, test.covariates
    )
    expected = _of_last(together.nuisance(seed=seed).expected, len(known.frame))
    if effects is None:
        effects = model.predict(known.frame[list(model.features)])[0]
    y, t, clusters = known.y, known.t, known.cluster_numbers
    scores = effect_scores(y, t, expected)
    unavailable = {}
    if model.constant:
        unavailable["qini"] = "everybody gets the same effect, so nobody is ranked"
    if not (groups := calibration(effects, scores, clusters)):
        unavailable["calibration"] = (
            "everybody gets the same effect" if model.constant else f"{len(scores)} rows are too few"
        )
    share = test.scope.treat_share
    return UpliftEvaluation(
        algorithm=model.algorithm,
        fingerprint=model.fingerprint,
        rows=len(scores),
        average=mean_of(scores, clusters),
        published=model.average,
        choice=model.choice,
        qini=None if model.constant else ranking(effects, scores, clusters, seed=seed),
        policy=policy_value(effects, y, t, expected, share, clusters),
        calibration=groups,
        segments=effect_by_segment(
            known.frame, test.scope, scores, effects, minimum=minimum, clusters=clusters
        ),
        truth=None if truth is None else _against(truth[0], truth[1], effects, model, share),
        unavailable=unavailable,
        beyond_predicted=mean_of(scores - effects, clusters),
    )


def _of_last(expected: Expected, rows: int) -> Expected:
    return Expected(*(part[-rows:] for part in (expected.control, expected.treated, expected.propensity)))


def _against(
    true: np.ndarray, true_of_others: np.ndarray, effects: np.ndarray, model: UpliftModel, share: float
) -> AgainstTruth:
    average = float(true_of_others.mean())
    gain, best = _gain(effects, true, share), _gain(true, true, share)
    return AgainstTruth(
        average=float(true.mean()),
        within=model.average.low <= average <= model.average.high,
        correlation=None if model.constant else float(np.corrcoef(effects, true)[0, 1]),
        regret=best - gain,
        gain=gain,
        best=best,
    )


def _gain(by: np.ndarray, true: np.ndarray, share: float) -> float:
    """True gain per row of treating the first share by some order; where all are level, of any so many."""
    if np.ptp(by) == 0:
        return share * float(true.mean())
    chosen = np.argsort(-by, kind="stable")[: round(share * len(by))]
    return float(true[chosen].sum() / len(by))


def evaluation_metrics(evaluation: UpliftEvaluation) -> dict[str, float]:
    """Figures by name, for experiment tracking."""
    metrics: dict[str, Any] = {
        "test_average_effect": evaluation.average.value,
        "test_policy_gain": evaluation.policy.gain.value,
        "test_policy_over_chance": evaluation.policy.over_chance.value,
    }
    if evaluation.qini is not None:
        metrics |= {"test_qini": evaluation.qini.qini.value, "test_auuc": evaluation.qini.auuc.value}
    if (truth := evaluation.truth) is not None:
        metrics |= {"true_average_effect": truth.average, "policy_regret": truth.regret}
        if truth.correlation is not None:
            metrics["correlation_with_truth"] = truth.correlation
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
