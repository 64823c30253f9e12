"""A scope: one question asked of every programme that lists it, as one file in config/scopes/."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from e2i_assets.modeling.config import YamlModel
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.split_policy import SplitOrder

ProblemType = Literal["binary_classification", "regression"]

CLASSIFICATION_METRICS = {
    "auc": "roc_auc",
    "roc_auc": "roc_auc",
    "pr_auc": "pr_auc",
    "brier": "brier",
    "log_loss": "log_loss",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "calibration_slope": "calibration_slope",
}
"""What a success criterion may be about: its name there, and the metric's name in an evaluation."""


BOUNDS = {"log_loss": (0, math.inf), "calibration_slope": (-math.inf, math.inf)}
"""The values that a metric can have, where they are not from 0 to 1."""
PLAUSIBILITY = "plausible_max_auc"
"""Name of the limit among a model's criteria."""


class Criterion(NamedTuple):
    """One success criterion: `min_auc: 0.70` has bound `min`, metric `auc`, threshold 0.70."""

    name: str
    bound: str
    metric: str
    threshold: float


class SuccessCriteria(RootModel[dict[str, float]]):
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


class FeatureChoice(BaseModel):
    """Features that the models of this scope do not see, by name; a programme may lack some of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exclude: tuple[str, ...] = ()


class Selection(BaseModel):
    """What an algorithm must meet, and what is preferred.

    `max_latency_ms` is per prediction, `max_memory_gb` while serving. A preference moves the ranking, never
    the measured comparison; an exclusion is final.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_latency_ms: float = Field(default=100, gt=0)
    max_memory_gb: float = Field(default=8, gt=0)
    interpretability_required: bool = False
    preferred_algorithms: tuple[str, ...] = ()
    excluded_algorithms: tuple[str, ...] = ()


class Scope(YamlModel):
    """One problem definition: what is predicted, from what, by which models, and how good it must be.

    `split_order: temporal` puts every index date of train before those of validation, test and holdout. A
    partition is split once for all of its scopes, so one that asks for it decides for the others.

    `plausible_max_auc` and `plausible_max_r2` (of numbers) are what features may reach together, and a model
    on test, before those that nobody has declared as known on the index date become a question.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    problem_type: ProblemType
    target: str = Field(min_length=1)
    split_order: SplitOrder = "random"
    features: FeatureChoice = FeatureChoice()
    selection: Selection = Selection()
    success_criteria: SuccessCriteria
    plausible_max_auc: float = Field(default=0.95, gt=0.5, le=1)
    plausible_max_r2: float = Field(default=0.90, gt=0, le=1)

    @field_validator("problem_type")
    @classmethod
    def _supported(cls, value: ProblemType) -> ProblemType:
        if value != "binary_classification":
            raise ValueError(f"{value} has no algorithms yet; only binary_classification can be trained")
        return value

    @field_validator("success_criteria")
    @classmethod
    def _known_metrics(cls, value: SuccessCriteria) -> SuccessCriteria:
        unknown = [c.name for c in value if c.metric not in CLASSIFICATION_METRICS]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no such metric; known are {', '.join(CLASSIFICATION_METRICS)}"
            )
        for c in value:
            low, high = BOUNDS.get(c.metric, (0, 1))
            if not low <= c.threshold <= high:
                raise ValueError(f"{c.name} is {c.threshold:g}, but {c.metric} lies in [{low:g}, {high:g}]")
        return value

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read one scope file, whose stem must be the scope's name.

        Raises:
            ConfigError: the file cannot be read, a key is unknown or wrong, or the name is not the stem.
        """
        scope = super().from_yaml(path)
        if scope.name != Path(path).stem:
            raise ConfigError(f"{path}: name: is {scope.name!r}, but the file is called {Path(path).stem!r}")
        return scope


@cache
def load_scopes(folder: Path) -> dict[str, Scope]:
    """The scopes of a folder whose files are right, by name and in the order of the names.

    A wrong one stops what it serves (`wrong_scopes`), not the others.

    Raises:
        ConfigError: there is none, or all are wrong.
    """
    wrong = wrong_scopes(folder)
    scopes = {p.stem: Scope.from_yaml(p) for p in sorted(folder.glob("*.yaml")) if p.stem not in wrong}
    if not scopes:
        raise ConfigError("; ".join(wrong.values()) or f"no scope file (*.yaml) in {folder}")
    return scopes


@cache
def wrong_scopes(folder: Path) -> dict[str, str]:
    """Name to what is wrong with it, of each wrong scope file of a folder."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            Scope.from_yaml(path)
        except ConfigError as error:
            found[path.stem] = str(error)
    return found
