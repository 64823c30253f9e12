"""What was found of a version, as rows to be kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from e2i_assets.monitoring.severity import WEIGHTS
from e2i_assets.monitoring.watching import Watched


def drift_rows(watched: Watched) -> Iterator[dict[str, Any]]:
    """A row of `ml_drift_history` for each column and measured figure."""
    for kind, column in watched.drifts():
        decisive = min(
            column.findings, key=lambda one: (-WEIGHTS[one.severity], one.p_adjusted), default=None
        )
        stability, compared = column.finding("psi"), column.compared
        yield {
            "drift_type": kind, "feature_name": column.name,
            "test_type": decisive.effect.test if decisive else None,
            "test_statistic": decisive.effect.statistic if decisive else None,
            "p_value": decisive.effect.p_value if decisive else None,
            "p_adjusted": decisive.p_adjusted if decisive else None,
            "drift_detected": column.drifted, "severity": column.severity,
            "drift_score": WEIGHTS[column.severity],
            "effect": decisive.effect.size if decisive else None,
            "psi": stability.effect.size if stability else None,
            "baseline_count": compared.reference.known if compared else None,
            "current_count": compared.current.known if compared else None,
            "baseline_mean": compared.reference.mean if compared else None,
            "baseline_std": compared.reference.std if compared else None,
            "current_mean": compared.current.mean if compared else None,
            "current_std": compared.current.std if compared else None,
            "reason": column.why,
        }  # fmt: skip
    for figure in watched.figures:
        if figure.source == "measured":
            yield _empty_row() | {
                "drift_type": "concept", "feature_name": figure.metric, "current_count": figure.rows,
                "drift_detected": figure.severity != "none", "severity": figure.severity,
                "drift_score": WEIGHTS[figure.severity], "effect": figure.delta,
                "reason": f"{figure.metric} {figure.value:.3f} now",
            }  # fmt: skip


def _empty_row() -> dict[str, Any]:
    """The columns that a figure leaves empty."""
    return dict.fromkeys(
        ("test_type", "test_statistic", "p_value", "p_adjusted", "psi", "baseline_count", "baseline_mean",
         "baseline_std", "current_mean", "current_std")
    )  # fmt: skip


def performance_rows(watched: Watched) -> Iterator[dict[str, Any]]:
    """A row of `ml_performance_metrics` for each figure."""
    for figure in watched.figures:
        yield {
            "metric_name": figure.metric, "metric_value": figure.value, "source": figure.source,
            "sample_size": figure.rows, "ci_lower": figure.low, "ci_upper": figure.high,
            "baseline_value": figure.baseline.value, "baseline_lower": figure.baseline.low,
            "baseline_upper": figure.baseline.high, "delta": figure.delta,
            "is_degraded": figure.severity != "none",
        }  # fmt: skip
