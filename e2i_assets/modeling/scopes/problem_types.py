"""The problem types that there are, found in `modeling.problems`.

No import shows which: whatever follows imports takes that package as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from e2i_assets.modeling import problems
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.scope import Scope

_MODULES = [
    import_module(f"{problems.__name__}.{found.name}")
    for found in iter_modules(problems.__path__)
    if found.name != "base"
]
PROBLEMS: Mapping[str, type[Problem]] = {m.PROBLEM.problem_type: m.PROBLEM for m in _MODULES}
"""Problem types by name."""
SCOPES: Mapping[str, type[Scope]] = {m.PROBLEM.problem_type: m.SCOPE for m in _MODULES}
"""What a scope file may say, by problem type."""


def problem_of(problem_type: str, labels: tuple[str, ...] = ()) -> Problem:
    """The problem type of a saved model or evaluation.

    Args:
        labels: classes in the order of their probabilities, where a scope names them.
    """
    return PROBLEMS[problem_type](labels)
