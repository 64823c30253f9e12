"""What a treatment changes, and for whom: effects on average and on each row, and whether to trust them.

Plain Python on frames and arrays: neither scopes nor Dagster, and nothing of models that only predict.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2i_assets.causal.cross_validation import CrossValidation, CrossValidator
    from e2i_assets.causal.effect import estimate_effect
    from e2i_assets.causal.errors import CausalDataError
    from e2i_assets.causal.graph import CausalGraph
    from e2i_assets.causal.plots import love_plot, overlap_plot
    from e2i_assets.causal.refutation import RefutationReport, refute
    from e2i_assets.causal.report import EffectReport

__all__ = [
    "CausalDataError",
    "CausalGraph",
    "CrossValidation",
    "CrossValidator",
    "EffectReport",
    "RefutationReport",
    "estimate_effect",
    "love_plot",
    "overlap_plot",
    "refute",
]

_MODULES = {
    "CausalDataError": "errors",
    "CausalGraph": "graph",
    "CrossValidation": "cross_validation",
    "CrossValidator": "cross_validation",
    "EffectReport": "report",
    "RefutationReport": "refutation",
    "estimate_effect": "effect",
    "love_plot": "plots",
    "overlap_plot": "plots",
    "refute": "refutation",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, so that whoever wants one learner does not depend on all of it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
