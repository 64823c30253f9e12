"""How figures are told in a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.modeling.problems.base import Problem

METRICS: Mapping[str, str] = {
    "roc_auc": "AUC",
    "pr_auc": "area under the precision-recall curve",
    "rmse": "RMSE",
    "mae": "MAE",
    "mape": "MAPE",
    "r2": "R²",
    "ece": "expected calibration error (ECE)",
}
"""Metrics that their names alone would tell badly."""


def words(metric: str) -> str:
    """A metric's name for people."""
    return METRICS.get(metric, metric.replace("_", " "))


def figure_of(value: float | None, problem: Problem, metric: str) -> str:
    """A value of a metric."""
    return "not available" if value is None else problem.figure(metric, value)


def ends_of(ends: Interval | None, problem: Problem, metric: str) -> str:
    """The ends of an interval."""
    return " to ".join(problem.figure(metric, end) for end in ends) if ends else "–"


def with_ends(value: float | None, ends: Interval | None, problem: Problem, metric: str) -> str:
    """A value with its interval, where it has one."""
    interval = f" ({ends_of(ends, problem, metric)})" if ends else ""
    return figure_of(value, problem, metric) + interval


def signed(value: float | None, problem: Problem, metric: str) -> str:
    """A difference of two values of a metric."""
    if value is None:
        return "–"
    return ("+" if value >= 0 else "-") + problem.figure(metric, abs(value))


def plain(value: Any) -> str:
    """A parameter or a share, briefly."""
    return "not told" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
