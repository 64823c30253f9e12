"""The problem types that there are, found in `modeling.problems`.

No import shows which: whatever follows imports takes that package as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

from e2i_assets.modeling import problems
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.scope import Scope

_MODULES = [
    import_module(f"{problems.__name__}.{module.name}")
    for module in iter_modules(problems.__path__)
    if module.name != "base"
]
PROBLEMS: Mapping[str, type[Problem]] = {
    m.PROBLEM.problem_type: m.PROBLEM for m in _MODULES if hasattr(m, "PROBLEM")
}
"""Problem types that a target is predicted by, by name."""
SCOPES: Mapping[str, type[Scope]] = {
    get_args(m.SCOPE.model_fields["problem_type"].annotation)[0]: m.SCOPE for m in _MODULES
}
"""What a scope file may say, by problem type: those, and what a treatment does to a target."""


def problem_of(problem_type: str, labels: tuple[str, ...] = ()) -> Problem:
    """The problem type of a saved model or evaluation.

    Args:
        labels: classes in the order of their probabilities, where a scope names them.
    """
    return PROBLEMS[problem_type](labels)
