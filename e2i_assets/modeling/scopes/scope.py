"""A scope: one question asked of every partition that lists it. `scopes.files` reads its file."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field, RootModel, StrictFloat, field_validator

from e2i_assets.config_files import ConfigModel, Text
from e2i_assets.modeling.config import YamlModel
from e2i_assets.modeling.preprocessing.feature_rules import FeatureSelection
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.splits.policy import SplitOrder

PLAUSIBILITY = "plausible_"
"""How the names of limits begin among a model's criteria."""


class Criterion(NamedTuple):
    """One success criterion: `min_auc: 0.70` has bound `min`, metric `auc`, threshold 0.70."""

    name: str
    bound: str
    metric: str
    threshold: float


class SuccessCriteria(RootModel[dict[str, StrictFloat]]):
    """`min_<metric>` and `max_<metric>` with their thresholds; at least one, so that the gate has a rule."""

    model_config = ConfigDict(frozen=True)

    @field_validator("root")
    @classmethod
    def _well_formed(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("state at least one criterion, for instance min_auc: 0.70")
        for name, threshold in value.items():
            if not re.fullmatch(r"(min|max)_[a-z0-9_]+", name):
                raise ValueError(f"{name} must read min_<metric> or max_<metric>")
            if not math.isfinite(threshold):
                raise ValueError(f"{name} needs a finite number")
        return value

    def __iter__(self) -> Iterator[Criterion]:  # type: ignore[override]
        """The criteria in the order of the file."""
        for name, threshold in self.root.items():
            bound, _, metric = name.partition("_")
            yield Criterion(name, bound, metric, threshold)


class FeatureChoice(ConfigModel):
    """Which features the models of this scope see, by name.

    Attributes:
        required: a partition that lacks one is refused, and no rule leaves it out of a model.
        exclude: no model sees them; a partition may lack some.
        selection: by which rules others are left out on train.
    """

    required: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selection: FeatureSelection = FeatureSelection()


class Selection(ConfigModel):
    """What an algorithm must meet, and what is preferred.

    Attributes:
        max_latency_ms: of one row, as measured where the model is trained.
        max_memory_gb: of the loaded model, measured likewise.
        interpretability_required: whether only algorithms that can be read are asked.
        preferred_algorithms: moves the ranking, never the measured comparison.
        excluded_algorithms: is final.
    """

    max_latency_ms: float = Field(default=100, gt=0)
    max_memory_gb: float = Field(default=8, gt=0)
    interpretability_required: bool = False
    preferred_algorithms: tuple[str, ...] = ()
    excluded_algorithms: tuple[str, ...] = ()


class Baseline(ConfigModel):
    """What a model must beat on test, and by how much.

    Attributes:
        model: `no_features`, which knows the outcomes of train and nothing of a patient, or `simple`, the
            problem type's regularised linear model on the same features.
        min_lift: share by which the primary metric must be better than the baseline's: 0.1 asks for an AUC
            of 0.55 over 0.5, or for an RMSE of 9 over 10; negative where as much may be lost.
    """

    model: Literal["no_features", "simple"]
    min_lift: float = Field(default=0.0, gt=-1, allow_inf_nan=False)


class PlausibleLimit(NamedTuple):
    """What a figure may reach before it is a question: `max_auc` or `max_r2`, and the limit."""

    name: str
    limit: float


class Scope(YamlModel, ABC):
    """One question: of which outcome, from what, and by which models it is answered.

    What else a scope file says follows from its `problem_type`: each has a scope of its own.

    Attributes:
        name: of the file and of the assets.
        description: the question in words; the model card begins with it.
        problem_type: what kind of answer is asked for.
        target: the outcome, a column of the cohort.
        split_order: `temporal` puts every index date of train before those of validation, test and holdout. A
            partition is split once for all of its scopes, so one that asks for it decides for the others.
        features: which features the models see.
        selection: what an algorithm must meet.
        horizon_days: days after the index date by which the outcome has happened or not, where it is not the
            cohort's follow-up window; a cohort that is followed for fewer is refused.
        minimum_samples: patients of train with a known outcome below which nothing is learnt.
        logged_features: of which the prediction log keeps what a request said, where the model has them.
        out_of_contract: whether a service refuses a value that the contract does not allow, or warns of it.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: Text
    problem_type: str
    target: Text
    horizon_days: int | None = Field(default=None, ge=1)
    split_order: SplitOrder = "random"
    minimum_samples: int = Field(default=50, ge=1)
    features: FeatureChoice = FeatureChoice()
    selection: Selection = Selection()
    logged_features: tuple[str, ...] = ()
    out_of_contract: Literal["refuse", "warn"] = "refuse"

    @property
    @abstractmethod
    def problem(self) -> Problem:
        """Everything that depends on the kind of target."""

    @property
    @abstractmethod
    def plausible(self) -> PlausibleLimit:
        """What the features may reach together, and a model on test, before it is a question."""


class PredictiveScope(Scope, ABC):
    """A question that a prediction of the target answers.

    Attributes:
        success_criteria: what a model must reach on test.
        baseline: what a model must beat, where that is asked for.
    """

    problem_class: ClassVar[type[Problem]]

    success_criteria: SuccessCriteria
    baseline: Baseline | None = None

    @property
    def problem(self) -> Problem:
        """Everything that depends on the kind of target."""
        return self.problem_class()

    @field_validator("success_criteria")
    @classmethod
    def _known_metrics(cls, value: SuccessCriteria) -> SuccessCriteria:
        known, bounds = cls.problem_class.criteria, cls.problem_class.bounds
        unknown = [c.name for c in value if c.metric not in known]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such metric; known are {', '.join(known)}")
        for c in value:
            ascending = cls.problem_class.ascending[known[c.metric]]
            if ascending is not None and c.bound != (wanted := "min" if ascending else "max"):
                better = "higher" if ascending else "lower"
                raise ValueError(f"{c.name}: {c.metric} is better {better}; write {wanted}_{c.metric}")
            low, high = bounds.get(c.metric, (0, 1))
            if not low <= c.threshold <= high:
                raise ValueError(f"{c.name} is {c.threshold:g}, but {c.metric} lies in [{low:g}, {high:g}]")
        return value
