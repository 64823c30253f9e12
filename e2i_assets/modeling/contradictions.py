"""What a scope file asks for that cannot hold together, whatever the data are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from e2i_assets.modeling.scope import Scope


class Contradiction(NamedTuple):
    """Why a scope cannot be, and at which key of its file."""

    key: tuple[str, ...]
    reason: str


def contradictions(scope: Scope) -> Iterator[Contradiction]:
    """Each contradiction of a scope whose keys and values are right one by one."""
    yield from _of_features(scope)
    yield from _of_algorithms(scope)
    yield from _of_criteria(scope)


def _of_features(scope: Scope) -> Iterator[Contradiction]:
    required, key = scope.features.required, ("features", "required")
    if both := sorted(set(required) & set(scope.features.exclude)):
        yield Contradiction(key, f"{', '.join(both)}: excluded as well; take it out of one of the two")
    if scope.target in required:
        yield Contradiction(key, f"{scope.target} is the target; a model cannot learn from what it predicts")
    most = scope.features.selection.top_k
    if most is not None and most < len(required):
        reason = f"{most} features are kept, but {len(required)} are required"
        yield Contradiction(("features", "selection", "top_k"), reason)


def _of_algorithms(scope: Scope) -> Iterator[Contradiction]:
    wanted, key = scope.selection, ("selection", "excluded_algorithms")
    if both := sorted(set(wanted.preferred_algorithms) & set(wanted.excluded_algorithms)):
        yield Contradiction(key, f"{', '.join(both)}: preferred as well; take it out of one of the two")
    if set(scope.problem.algorithms) <= set(wanted.excluded_algorithms):
        kind = scope.problem.problem_type
        yield Contradiction(key, f"none is left: these are all that do {kind}; leave one in")


def _of_criteria(scope: Scope) -> Iterator[Contradiction]:
    """A threshold that only a perfect model meets, and an upper one below the lower one."""
    problem, bounds = scope.problem, dict[str, dict[str, float]]()
    for criterion in scope.success_criteria:
        bounds.setdefault(criterion.metric, {})[criterion.bound] = criterion.threshold
        low, high = problem.bounds.get(criterion.metric, (0, 1))
        ascending = problem.ascending[problem.criteria[criterion.metric]]
        perfect = {True: high, False: low}.get(ascending) if ascending is not None else None
        if criterion.threshold == perfect:
            reason = f"{criterion.threshold:g} is a perfect model's {criterion.metric}: no real one has it"
            yield Contradiction(("success_criteria", criterion.name), reason)
    for metric, of in bounds.items():
        if len(of) == 2 and of["min"] > of["max"]:
            reason = f"at least {of['min']:g} and at most {of['max']:g} leave no {metric}"
            yield Contradiction(("success_criteria", f"max_{metric}"), reason)
