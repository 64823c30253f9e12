"""What protects its users from a model that does not do what its scope asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from e2i_assets.gates.remedies import ASK
from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse
from e2i_assets.modeling.scope import PLAUSIBILITY

if TYPE_CHECKING:
    from e2i_assets.modeling.evaluation import CriterionResult


def _success_criteria(results: tuple[CriterionResult, ...]) -> Verdict:
    if not results:
        return refuse("no_criteria", "the scope states no success criteria.", "State them in config/scopes.")
    figures = {r.name: r.value for r in results}
    if doubted := [r.reason for r in results if r.name.startswith(PLAUSIBILITY) and not r.ok]:
        return refuse("implausible", f"{doubted[0]}.", ASK, **figures)
    if failed := [r for r in results if not r.ok]:
        return refuse(
            "criteria_not_met",
            f"{_against(failed)}.",
            "Look at the validation metrics and features; this model is not published further.",
            **figures,
        )
    high = [
        f"; {r.reason}" for r in results if r.name.startswith(PLAUSIBILITY) and (r.value or 0) > r.threshold
    ]
    return ok(_against(results) + "".join(high), **figures)


def _against(results: Iterable[CriterionResult]) -> str:
    return "; ".join(f"{r.name}: {r.told} against {r.threshold}" for r in results)


SUCCESS_CRITERIA = Gate("success_criteria", "The test split meets the scope's criteria.", _success_criteria)
