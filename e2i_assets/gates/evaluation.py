"""What protects its users from a model that does not do what its scope asks, and what they are warned of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from e2i_assets.gates.remedies import ASK
from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse
from e2i_assets.modeling.evaluation.subgroups import worse_groups
from e2i_assets.modeling.scopes.problem_types import PROBLEMS
from e2i_assets.modeling.scopes.scope import PLAUSIBILITY

if TYPE_CHECKING:
    from e2i_assets.modeling.evaluation.evaluate import CriterionResult
    from e2i_assets.modeling.problems.base import Evaluation


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


def _subgroup_gaps(evaluation: Evaluation) -> Verdict:
    judged = [group for group in evaluation.subgroups if group.value is not None]
    undecided = len(evaluation.subgroups) - len(judged)
    absent = "".join(
        f"; {name}: {reason}"
        for name, reason in evaluation.unavailable.items()
        if name.startswith("subgroups")
    )
    if not evaluation.subgroups and not absent:
        return refuse(
            "not_decided",
            "the test split was opened for this model by a release that looked at no groups.",
            "Train another model to have its groups looked at.",
        )
    if not judged:
        return refuse(
            "not_decided",
            f"no group of test patients is large enough to be judged ({undecided} are too small){absent}.",
            "Evaluate on more patients before the model is used for all of them.",
        )
    problem = PROBLEMS[evaluation.problem_type]
    worse = worse_groups(judged, greater_is_better=problem.greater_is_better)
    counted = f"{len(judged)} groups judged, {undecided} too small{absent}"
    if not worse:
        return ok(f"No group is served worse than chance explains; {counted}.", groups=len(judged))
    metric = evaluation.primary_metric
    return refuse(
        "subgroup_gap",
        f"{', '.join(dict.fromkeys(f'{group.dimension} {group.level}' for group, _ in worse))}: served worse "
        f"than other patients by more than chance explains; {counted}.",
        "Look at these patients' data and at what the model misses of them before it is used for them.",
        [
            {
                "dimension": group.dimension,
                "level": group.level,
                "rows": group.n,
                "figure": f"{metric} against all others" if kind == "gap" else "predicted less actual",
                "difference": group.gap if kind == "gap" else group.bias,
            }
            for group, kind in worse
        ],
        groups=len(judged),
    )


SUBGROUP_GAPS = Gate(
    "subgroup_gaps", "No group of patients is served worse than chance explains; warns.", _subgroup_gaps
)
