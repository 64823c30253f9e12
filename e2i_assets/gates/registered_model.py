"""What protects its users from a version that has not shown what its stage asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.registry.promotion import Requirement


@dataclass(frozen=True)
class Entering:
    """A version that is to enter a stage, and each rule of it."""

    title: str
    stage: str
    requirements: Sequence[Requirement]


def _promotion_rules(entering: Entering) -> Verdict:
    if not entering.requirements:
        return refuse(
            "no_rules",
            f"nothing is asked of what enters {entering.stage}.",
            "State rules in config/mlflow/mlflow.yaml.",
        )
    missing = [one for one in entering.requirements if not one.met]
    figures = {one.name: one.found for one in entering.requirements}
    if missing:
        return refuse(
            "rules_not_met",
            f"{entering.title} may not enter {entering.stage}: {'; '.join(map(str, missing))}.",
            "It stays registered where it is. Look at the evaluation and its data; rules are in "
            "config/mlflow/mlflow.yaml.",
            [{"rule": one.name, "wanted": one.wanted, "found": one.found} for one in missing],
            **figures,
        )
    return ok(f"{entering.title}: {'; '.join(map(str, entering.requirements))}", **figures)


PROMOTION_RULES = Gate(
    "promotion_rules", "The registered version has shown what staging asks for.", _promotion_rules,
    ("ConfigError", "RegistryError"),
)  # fmt: skip
