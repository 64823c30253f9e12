"""The libraries that one effect is estimated with: DoWhy, EconML and CausalML, each by a method of its own,
on the same rows, folds and kinds of nuisance models.

None sees what another has found. What they share is the question: rows, folds, who is as good as never
treated. Each library is imported where it estimates, and fails by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.question import OUTCOME, TREATMENT, Question

LEVEL_Z = 1.959963984540054
"""Standard errors from an estimate to the ends of its 95 % interval."""


class Answer(NamedTuple):
    """An estimate with its 95 % interval, on the outcome's own scale."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Library:
    """One library.

    Attributes:
        distribution: name under which it is installed.
        module: what importing it costs is not counted as time of the estimate.
        method, dose_method: how it estimates the effect of an arm, and of a dose; empty where it cannot.
        estimate: asks it.
    """

    distribution: str
    module: str
    method: str
    dose_method: str
    estimate: Callable[[Question], Answer]


def with_dowhy(question: Question) -> Answer:
    """Identify the effect in the graph, then estimate it with DoWhy's own estimators.

    Of arms its doubly robust one, fitted on the other folds and asked about each; the interval is that of
    the rows' scores, which its two fitted models give. Of a dose its linear regression.
    """
    import networkx as nx
    import pandas as pd
    from dowhy import CausalModel

    data = question.data
    table = pd.DataFrame(data.x, columns=question.names)
    table[TREATMENT] = data.t if data.treatment_kind == "continuous" else data.t.astype(int)
    table[OUTCOME] = data.y
    graph = nx.DiGraph(question.edges)
    model = CausalModel(table, treatment=TREATMENT, outcome=OUTCOME, graph=graph)
    estimand = model.identify_effect(proceed_when_unidentifiable=False, method_name="maximal-adjustment")
    if estimand.estimands["backdoor"] is None:
        raise CausalDataError("the graph has no set of covariates that closes all back doors")
    if data.treatment_kind == "continuous":
        estimate = model.estimate_effect(
            estimand, method_name="backdoor.linear_regression", confidence_intervals=True
        )
        low, high = np.ravel(estimate.get_confidence_intervals())
        return Answer(float(estimate.value), float(low), float(high))
    estimand.set_identifier_method("backdoor")
    return _dowhy_doubly_robust(question, table, estimand)


def _dowhy_doubly_robust(question: Question, table: Any, estimand: Any) -> Answer:
    from dowhy.causal_estimators.doubly_robust_estimator import DoublyRobustEstimator

    scores = np.empty(len(table))
    estimate = 0.0
    for fit, asked in question.splits.split():
        estimator = DoublyRobustEstimator(
            estimand, propensity_score_model=question.treatment_model(),
            min_ps_score=float(question.propensity.min()), max_ps_score=float(question.propensity.max()),
        )  # fmt: skip
        fitted = estimator.fit(table.iloc[fit].reset_index(drop=True), effect_modifier_names=[])
        rows = table.iloc[asked].reset_index(drop=True)
        estimate += fitted.estimate_effect(rows).value * len(asked) / len(table)
        scores[asked] = _dowhy_scores(fitted, rows)
    return _around(float(estimate), scores)


def _dowhy_scores(fitted: Any, rows: Any) -> np.ndarray:
    """Of each row the summand of DoWhy's estimate, whose mean it is."""
    t, y = rows[TREATMENT].to_numpy(), rows[OUTCOME].to_numpy()
    e = fitted.propensity_score_model.predict_proba(rows)[:, 1]
    e = np.clip(e, fitted.min_ps_score, fitted.max_ps_score)
    control, treated = (np.asarray(fitted.regression_model.interventional_outcomes(rows, a)) for a in (0, 1))
    return treated - control + t / e * (y - treated) - (1 - t) / (1 - e) * (y - control)


def _around(estimate: float, scores: np.ndarray) -> Answer:
    half = LEVEL_Z * float(scores.std(ddof=1) / np.sqrt(len(scores)))
    return Answer(estimate, estimate - half, estimate + half)


def with_econml(question: Question) -> Answer:
    """Of arms the doubly robust learner, of a dose double machine learning; both with one effect for all."""
    from econml.dml import LinearDML
    from econml.dr import LinearDRLearner

    data = question.data
    estimator: Any
    if data.treatment_kind == "binary":
        estimator = LinearDRLearner(
            model_regression=question.outcome_model(), model_propensity=question.treatment_model(),
            min_propensity=float(question.propensity.min()), cv=question.splits, random_state=question.seed,
        )  # fmt: skip
    else:
        estimator = LinearDML(
            model_y=question.outcome_model(), model_t=question.treatment_model(), cv=question.splits,
            random_state=question.seed,
        )  # fmt: skip
    estimator.fit(data.y, data.t, W=data.x)
    inference = estimator.ate_inference(T0=0, T1=1)
    low, high = inference.conf_int_mean(alpha=0.05)
    return Answer(*(float(np.ravel(value)[0]) for value in (inference.mean_point, low, high)))


def with_causalml(question: Question) -> Answer:
    """Targeted maximum likelihood, with the outcome fitted on the other folds."""
    from causalml.inference.meta import TMLELearner

    data = question.data
    if data.treatment_kind == "continuous":
        raise CausalDataError(
            "causalml estimates effects of arms, not of a dose",
            "Leave it out of `libraries`, or name two arms of the treatment.",
        )
    learner = TMLELearner(question.outcome_model(), cv=question.splits)
    estimate = learner.estimate_ate(X=data.x, treatment=data.t.astype(int), y=data.y, p=question.propensity)
    return Answer(*(float(np.ravel(value)[0]) for value in estimate))


LIBRARIES: Mapping[str, Library] = {
    "dowhy": Library(
        "dowhy", "dowhy",
        "identified in the graph; doubly robust, cross-fitted", "identified in the graph; linear regression",
        with_dowhy,
    ),
    "econml": Library(
        "econml", "econml.dr", "LinearDRLearner, one effect for all", "LinearDML, one effect for all",
        with_econml,
    ),
    "causalml": Library(
        "causalml", "causalml.inference.meta", "TMLE, cross-fitted", "", with_causalml,
    ),
}  # fmt: skip
