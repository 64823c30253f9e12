"""What a treatment does to a target: effects are estimated, and nothing is predicted but them.

It has no problem of its own: its target is a yes or no, or a number, and is divided, audited and checked as
such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from e2i_assets.causal.graph import CausalGraph
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.problems.regression import Regression
from e2i_assets.modeling.scopes.scope import PlausibleLimit, Scope


class CausalScope(Scope):
    """A question of what a treatment changes.

    Attributes:
        treatment: column of the treatment, 0/1; known on the index date, and decided before it.
        outcome: whether the target is a yes or no, or a number.
        estimand: whose effect is estimated (`causal.report.EffectReport`).
        max_difference: standardised mean difference that a covariate may have between the arms once weighted.
        clusters: column of the journeys whose value patients share who are alike or were treated together, so
            that intervals are of so many clusters; empty where each patient stands alone.
        treat_share: of patients who could be treated, whose benefit the evaluation tells.
        segments: feature to the values from which the next segment begins; effects are told by them, and by
            age band, sex, region and insurance.
        graph: arrows of what causes what, each line `cause -> effect`; the features that it names are
            adjusted for, and a mediator or a collider among them is refused.
        negative_outcomes, negative_exposures: features and outcomes that the treatment cannot have changed,
            or that cannot have changed the target; an effect on or of them refutes.
        plausible_max: what the features may reach together (AUC, or R² of a number) before those that nobody
            has declared as known on the index date become a question.
    """

    problem_type: Literal["causal_inference"]
    treatment: str = Field(min_length=1)
    outcome: Literal["binary", "number"] = "binary"
    estimand: Literal["ate", "att", "ato", "trimmed"] = "ate"
    max_difference: float = Field(default=0.1, gt=0, le=1)
    clusters: str = ""
    treat_share: float = Field(default=0.3, gt=0, lt=1)
    segments: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    graph: tuple[str, ...] = ()
    negative_outcomes: tuple[str, ...] = ()
    negative_exposures: tuple[str, ...] = ()
    plausible_max: float = Field(default=0.95, gt=0.5, le=1)

    @property
    def problem(self) -> Binary | Regression:
        """Of the target."""
        return Binary() if self.outcome == "binary" else Regression()

    @property
    def plausible(self) -> PlausibleLimit:
        """Of the AUC, or of R²."""
        return PlausibleLimit("max_auc" if self.outcome == "binary" else "max_r2", self.plausible_max)

    @field_validator("segments")
    @classmethod
    def _ascending(cls, value: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
        for name, edges in value.items():
            if not edges or list(edges) != sorted(set(edges)):
                raise ValueError(f"{name}: give one value or more, each larger than the one before")
        return value

    @model_validator(mode="after")
    def _a_graph_of_this_question(self) -> Self:
        if self.graph:
            CausalGraph.parse(self.graph).refuse_question(self.treatment, self.target)
        return self

    @model_validator(mode="after")
    def _of_two_columns(self) -> Self:
        if self.treatment == self.target:
            raise ValueError("treatment and target are the same column")
        return self


SCOPE = CausalScope
