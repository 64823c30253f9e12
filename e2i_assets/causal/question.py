"""The question that every library is asked: the same rows, folds, arrows and kinds of nuisance models.

What is shared does not answer it: who is likely to be treated, which kind of model predicts better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from e2i_assets.causal.data import CausalData
from e2i_assets.causal.graph import CausalGraph
from e2i_assets.causal.learners import NUISANCE, outcome_model, treatment_model
from e2i_assets.causal.nuisance import NuisanceFit, Nuisances, bounded, fold_numbers, recalibrated
from e2i_assets.causal.overlap import DECIDED, overlap_of, too_few, why_not

Edges = Sequence[tuple[str, str]]

TREATMENT, OUTCOME = "treatment", "outcome"
"""Their names, as libraries are given them."""


@dataclass(frozen=True, eq=False)
class Question:
    """What every library is asked.

    Attributes:
        data: rows whose outcome is known.
        folds: number of the fold of each row, (rows,).
        propensity: cross-fitted probability of the treatment, bounded; of a dose its expectation. (rows,)
        outcome_kind, treatment_kind: of nuisance models (`learners.NUISANCE`), whichever predicts better.
        edges: of the graph, between `names`, `TREATMENT`, `OUTCOME` and what nobody measured.
    """

    data: CausalData
    folds: np.ndarray
    propensity: np.ndarray
    outcome_kind: str
    treatment_kind: str
    edges: Edges
    seed: int

    @property
    def names(self) -> list[str]:
        """The columns of the covariates, in names that every library takes."""
        return names(self.data)

    @property
    def splits(self) -> Any:
        """The folds as scikit-learn's own splitter."""
        from sklearn.model_selection import PredefinedSplit

        return PredefinedSplit(self.folds)

    def outcome_model(self) -> Any:
        """An unfitted model of the outcome."""
        return outcome_model(self.outcome_kind, self.seed)

    def treatment_model(self) -> Any:
        """An unfitted model of who is treated, or of the dose."""
        binary = self.data.treatment_kind == "binary"
        return (treatment_model if binary else outcome_model)(self.treatment_kind, self.seed)


def names(data: CausalData) -> list[str]:
    """The columns of the covariates, in names that every library takes."""
    return [f"x{number}" for number in range(data.x.shape[1])]


def pose(data: CausalData, edges: Edges, folds: int, seed: int) -> tuple[Question, str]:
    """The question, and why these rows cannot answer it; empty where they can."""
    question = Question(data, fold_numbers(data, folds, seed), np.zeros(0), "", "", edges, seed)
    if few := too_few(data):
        return question, few[1]
    treatment_kind, expected = better_kind(question, "treatment")
    outcome_kind, _ = better_kind(question, "outcome")
    expected, refusal = _overlap(question, expected)
    question = replace(question, outcome_kind=outcome_kind, treatment_kind=treatment_kind)
    return replace(question, propensity=expected), refusal


def better_kind(question: Question, of: str) -> tuple[str, np.ndarray]:
    """The kind of nuisance model with the smaller squared error on rows not seen, and its predictions.

    Args:
        of: `treatment` given the covariates, or `outcome` given both.
    """
    from sklearn.model_selection import cross_val_predict

    data = question.data
    x, y = (data.x, data.t) if of == "treatment" else (np.column_stack([data.x, data.t]), data.y)
    predict: Any = partial(cross_val_predict, X=x, y=y, cv=question.splits)

    def predicted(kind: str) -> np.ndarray:
        if of == "treatment" and data.treatment_kind == "binary":
            return predict(treatment_model(kind, question.seed), method="predict_proba")[:, 1]
        return predict(outcome_model(kind, question.seed))

    predictions = {kind: predicted(kind) for kind in NUISANCE}
    kind = min(predictions, key=lambda name: float(((y - predictions[name]) ** 2).mean()))
    return kind, predictions[kind]


def _overlap(question: Question, expected: np.ndarray) -> tuple[np.ndarray, str]:
    """The propensity within bounds, and why it leaves nothing to compare; empty where it does."""
    from sklearn.metrics import r2_score, roc_auc_score

    data = question.data
    if data.treatment_kind == "continuous":
        explained = r2_score(data.t, expected)
        decided = f"The covariates decide the treatment: they explain {explained:.1%} of it."
        return expected, decided if explained >= DECIDED else ""
    unbounded = recalibrated(expected, data.t)
    propensity = bounded(unbounded, data.t)
    none, sure = np.zeros((1, 0)), np.ones((1, len(data.t)))
    fit = NuisanceFit("treatment", "auc", float(roc_auc_score(data.t, unbounded)), {}, {})
    nuisances = Nuisances(
        t=data.t, folds=question.folds[None], propensity=propensity[None], unbounded=unbounded[None],
        outcome=none, control=none, treated=none, known_control=sure, known_treated=sure, fits=(fit,),
    )  # fmt: skip
    refusal = why_not(overlap_of(data, nuisances, "ate"))
    return propensity, refusal[1] if refusal else ""


def arrows(
    data: CausalData, treatment: str, outcome: str, covariates: Sequence[str], graph: CausalGraph | None
) -> Edges:
    """The graph in the names that libraries are given; without one every covariate causes both."""
    if graph is None:
        both = [(name, role) for name in names(data) for role in (TREATMENT, OUTCOME)]
        return [*both, (TREATMENT, OUTCOME)]
    unmeasured = {node: (f"unmeasured{number}",) for number, node in enumerate(graph.nodes)}
    measured = {name: tuple(_columns_of(data, name)) for name in covariates}
    return graph.expanded(unmeasured | measured | {treatment: (TREATMENT,), outcome: (OUTCOME,)})


def _columns_of(data: CausalData, covariate: str) -> list[str]:
    """Those that a covariate became: itself, its levels, that it is missing."""
    return [
        name
        for name, column in zip(names(data), data.columns, strict=True)
        if column in (covariate, f"{covariate} missing") or column.startswith(f"{covariate}=")
    ]
