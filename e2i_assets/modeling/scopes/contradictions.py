"""What a scope file asks for that cannot hold together, whatever the data are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from e2i_assets.causal.graph import CausalGraph
from e2i_assets.modeling.preprocessing.feature_rules import FeatureSelection
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.scopes.scope import PredictiveScope, Scope
from e2i_assets.modeling.selection.catalogue import CATALOGUE, CAUSAL, INTERPRETABLE


class Contradiction(NamedTuple):
    """Why a scope cannot be, and at which key of its file."""

    key: tuple[str, ...]
    reason: str


def contradictions(scope: Scope) -> Iterator[Contradiction]:
    """Each contradiction of a scope whose keys and values are right one by one."""
    yield from _of_features(scope)
    yield from _of_algorithms(scope)
    if isinstance(scope, PredictiveScope):
        yield from _of_criteria(scope)
        yield from _of_baseline(scope)
    if isinstance(scope, CausalScope):
        yield from _of_treatment(scope)


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
    preferred, kind = set(wanted.preferred_algorithms), scope.problem_type
    able = CAUSAL if isinstance(scope, CausalScope) else tuple(scope.problem.algorithms)
    if both := sorted(preferred & set(wanted.excluded_algorithms)):
        yield Contradiction(key, f"{', '.join(both)}: preferred as well; take it out of one of the two")
    if respelt := {n: right for n in wanted.excluded_algorithms if (right := _respelt(n)) not in (None, n)}:
        suggestions = ", ".join(f"{name}: did you mean {right}?" for name, right in respelt.items())
        yield Contradiction(key, f"{suggestions} As it stands it excludes nothing")
    if other := sorted(preferred - set(able)):
        reason = f"{', '.join(other)}: not for {kind}; known are {', '.join(able)}"
        yield Contradiction(("selection", "preferred_algorithms"), reason)
    readable = {name for name in able if CATALOGUE[name].interpretability >= INTERPRETABLE}
    allowed = readable if wanted.interpretability_required else set(able)
    if allowed <= set(wanted.excluded_algorithms):
        of = "interpretable ones that do" if wanted.interpretability_required else "that do"
        yield Contradiction(key, f"none is left: these are all {of} {kind}; leave one in")


def _respelt(name: str) -> str | None:
    """The algorithm that a name is but for capitals, blanks and the like; None where it is none."""
    letters = {re.sub(r"[\W_]", "", known).casefold(): known for known in CATALOGUE}
    return letters.get(re.sub(r"[\W_]", "", name).casefold())


def _of_criteria(scope: PredictiveScope) -> Iterator[Contradiction]:
    """A threshold that only a perfect model meets, or any one, and an upper one below the lower one."""
    problem, bounds = scope.problem, dict[str, dict[str, float]]()
    for criterion in scope.success_criteria:
        bounds.setdefault(criterion.metric, {})[criterion.bound] = criterion.threshold
        low, high = problem.bounds.get(criterion.metric, (0, 1))
        ascending = problem.ascending[problem.criteria[criterion.metric]]
        perfect = {True: high, False: low}.get(ascending) if ascending is not None else None
        if criterion.threshold == perfect:
            reason = f"{criterion.threshold:g} is a perfect model's {criterion.metric}: no real one has it"
            yield Contradiction(("success_criteria", criterion.name), reason)
        if ascending is not None and criterion.threshold == (low if ascending else high):
            reason = f"{criterion.threshold:g} is the worst {criterion.metric} there is: any model meets it"
            yield Contradiction(("success_criteria", criterion.name), reason)
    for metric, of in bounds.items():
        if len(of) == 2 and of["min"] > of["max"]:
            reason = f"at least {of['min']:g} and at most {of['max']:g} leave no {metric}"
            yield Contradiction(("success_criteria", f"max_{metric}"), reason)


def _of_baseline(scope: PredictiveScope) -> Iterator[Contradiction]:
    """An error cannot shrink by more than all of it, nor an AUC of at least 0.5 double."""
    lift = scope.baseline.min_lift if scope.baseline else 0
    metric, better = scope.problem.primary_metric, scope.problem.greater_is_better
    if lift >= 1 and (not better or metric == "roc_auc"):
        reason = f"{lift:g} asks for {lift:.0%} more than the baseline's {metric}: no model can have it"
        yield Contradiction(("baseline", "min_lift"), reason)


def _of_treatment(scope: CausalScope) -> Iterator[Contradiction]:
    """The treatment is compared, and not adjusted for; neither it nor the target is told effects by."""
    pair = {scope.treatment: "treatment", scope.target: "target"}
    for key, why in (
        ("segments", "who is in a segment must be known before the treatment"),
        ("negative_outcomes", "a negative control has no part in the question"),
        ("negative_exposures", "a negative control has no part in the question"),
    ):
        for name in getattr(scope, key):
            if name in pair:
                yield Contradiction((key,), f"{name} is the {pair[name]}; {why}")
    if scope.treatment in scope.features.required:
        reason = f"{scope.treatment} is the treatment, which is compared and not adjusted for"
        yield Contradiction(("features", "required"), reason)
    if scope.treatment in scope.features.exclude:
        reason = f"{scope.treatment} is the treatment; without it there is nothing to compare"
        yield Contradiction(("features", "exclude"), reason)
    if scope.clusters in pair:
        reason = (
            f"{scope.clusters} is the {pair[scope.clusters]}; clusters are of whom the treatment was given to"
        )
        yield Contradiction(("clusters",), reason)
    if scope.features.selection != FeatureSelection():
        reason = "effects are adjusted for every feature: a rule could leave a confounder out; use exclude"
        yield Contradiction(("features", "selection"), reason)
    yield from _of_controls(scope)


def _of_controls(scope: CausalScope) -> Iterator[Contradiction]:
    """What is required is adjusted for, and a negative control has no part in the graph's question."""
    for key in ("negative_outcomes", "negative_exposures"):
        names = getattr(scope, key)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            yield Contradiction((key,), f"{', '.join(twice)}: named twice; the same shows nothing twice")
    required = ("features", "required")
    if both := sorted(set(scope.features.required) & set(scope.negative_outcomes)):
        reason = f"{', '.join(both)}: a negative outcome as well, and that is not adjusted for"
        yield Contradiction(required, reason)
    if not scope.graph:
        return
    graph = CausalGraph.parse(scope.graph)
    if outside := [name for name in scope.features.required if name not in graph.nodes]:
        reason = (
            f"{', '.join(outside)}: not in the graph, which says what is adjusted for; add what it causes"
        )
        yield Contradiction(required, reason)
    after, causes = graph.after(scope.treatment), graph.before(scope.target, without=[scope.treatment])
    for key, wrong, why in (
        ("negative_outcomes", after, f"follows by the graph from {scope.treatment}"),
        ("negative_exposures", causes, f"causes {scope.target} by the graph"),
    ):
        if named := [name for name in getattr(scope, key) if name in wrong]:
            yield Contradiction((key,), f"{', '.join(named)}: {why}, and so is no negative control")
