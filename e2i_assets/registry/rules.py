"""`config/mlflow/mlflow.yaml`: what a version must show before it enters a stage, for each problem type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from e2i_assets.config_files import ConfigModel
from e2i_assets.modeling.config import YamlModel
from e2i_assets.modeling.scopes.problem_types import PROBLEMS, SCOPES
from e2i_assets.modeling.scopes.scope import SuccessCriteria
from e2i_assets.registry.errors import RegistryError

FILE = "mlflow/mlflow.yaml"
"""Below the configuration folder."""

SAMPLES = "samples"
OF_EFFECTS: Mapping[str, bool] = {
    "interval_width": False,
    "effective_samples": True,
    "share_outside": False,
    "refuted": False,
    "agreement": True,
}
"""What a rule may ask of an effect, and whether more of it is better."""


class EntryRules(ConfigModel):
    """`min_<evidence>` and `max_<evidence>` of one problem type, by the stage that is entered."""

    staging: SuccessCriteria
    shadow: SuccessCriteria
    production: SuccessCriteria


class ShadowRules(ConfigModel):
    """What must have been seen in shadow before production."""

    duration_days: float = Field(ge=0)
    min_requests: int = Field(ge=1)
    max_error_rate: float = Field(ge=0, le=1)
    max_latency_p99_ms: float = Field(gt=0)


class ProductionRules(ConfigModel):
    """That a person other than the one who asked must approve: the ledger takes no entry without."""

    approval_required: Literal[True]


class ArchivedRules(ConfigModel):
    """Days after which a version that left production is archived."""

    after_days: float = Field(ge=0)


class PromotionRules(YamlModel):
    """The whole file. Every problem type there is has rules, so that none is without."""

    promotion: Mapping[str, EntryRules]
    shadow: ShadowRules
    production: ProductionRules
    archived: ArchivedRules

    @classmethod
    def of(cls, config_dir: Path) -> PromotionRules:
        """Read the file of a configuration folder.

        Raises:
            ConfigError: it is missing, is no strict YAML, or says what it cannot.
        """
        return cls.from_yaml(config_dir / FILE)

    @field_validator("promotion")
    @classmethod
    def _of_what_there_is(cls, value: Mapping[str, EntryRules]) -> Mapping[str, EntryRules]:
        if unknown := sorted(value.keys() - SCOPES.keys()):
            raise ValueError(f"{', '.join(unknown)}: no such problem type; known are {', '.join(SCOPES)}")
        if absent := sorted(SCOPES.keys() - value.keys()):
            raise ValueError(f"state rules for {', '.join(absent)} as well")
        for problem_type, rules in value.items():
            for mistake in _mistakes(problem_type, rules):
                raise ValueError(f"{problem_type}: {mistake}")
        return value

    def criteria(self, problem_type: str, stage: str) -> SuccessCriteria:
        """What is asked of evidence before `staging`, `shadow` or `production` is entered.

        Raises:
            RegistryError: there are no rules for such a problem type.
        """
        if problem_type not in self.promotion:
            raise RegistryError(
                f"there are no rules for {problem_type}", f"State them in {FILE}.", code="no_rules"
            )
        rules: SuccessCriteria = getattr(self.promotion[problem_type], stage)
        return rules


def known_evidence(problem_type: str) -> dict[str, bool | None]:
    """What a rule may be about, and whether more of it is better; None where it is best in between."""
    problem = PROBLEMS.get(problem_type)
    if problem is None:
        return {SAMPLES: True, **OF_EFFECTS}
    return {SAMPLES: True} | {name: problem.ascending[metric] for name, metric in problem.criteria.items()}


def _mistakes(problem_type: str, rules: EntryRules) -> Iterator[str]:
    known = known_evidence(problem_type)
    for stage in EntryRules.model_fields:
        for rule in getattr(rules, stage):
            if rule.metric not in known:
                yield f"{stage}: {rule.name}: no such evidence; known are {', '.join(known)}"
            elif (better := known[rule.metric]) is not None and rule.bound != ("min" if better else "max"):
                wanted = "min" if better else "max"
                yield f"{stage}: {rule.name} asks for worse; write {wanted}_{rule.metric}"
