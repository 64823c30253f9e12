"""How a version does on patients it never saw: measured where outcomes are known, else estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2i_assets.monitoring.model_profile import Baseline
from e2i_assets.monitoring.severity import SEVERITIES, severity_of

MINIMUM_OUTCOMES = 50
"""Known outcomes below which nothing is said of how predictions come true (the guide's)."""
RELATIVE_LOSS = (0.0, 0.05, 0.10, 0.20)
"""Loss of the primary metric, relative to that at training, from which it is low, medium, high, critical. The
guide calls a loss of a tenth degraded."""
ASSUMPTION = (
    "Estimated figures assume that predicted probabilities are calibrated, as nothing at training spoke "
    "against, and that only who the patients are has changed: a change of how outcomes come about does not "
    "show in them."
)


@dataclass(frozen=True)
class Figure:
    """A metric now, against what it was at training.

    Attributes:
        source: `measured` on outcomes, or `estimated` without.
        severity: of the loss, where chance does not explain it.
    """

    metric: str
    value: float
    source: str
    rows: int
    baseline: Baseline
    low: float | None = None
    high: float | None = None
    severity: str = "none"

    @property
    def delta(self) -> float | None:
        """From the baseline."""
        return None if self.baseline.value is None else self.value - self.baseline.value


def severity_of_loss(
    value: float, interval: tuple[float, float] | None, baseline: Baseline, *, greater_is_better: bool
) -> str:
    """How bad a primary metric is against that at training: none where their 95 % intervals overlap."""
    if interval is None or None in (baseline.value, baseline.low, baseline.high):
        return "none"
    was, low, high = (float(end) for end in (baseline.value, baseline.low, baseline.high) if end is not None)
    behind = interval[1] < low if greater_is_better else interval[0] > high
    loss = (was - value if greater_is_better else value - was) / max(abs(was), 1e-12)
    return SEVERITIES[sum(loss >= band for band in RELATIVE_LOSS)] if behind else "none"


def severity_of_calibration(interval: tuple[float, float] | None, baseline: Baseline, ideal: float) -> str:
    """How bad a figure of calibration is: medium where its interval leaves the ideal and that at training."""
    if interval is None or baseline.low is None or baseline.high is None:
        return "none"
    off = not interval[0] <= ideal <= interval[1]
    moved = interval[1] < baseline.low or interval[0] > baseline.high
    return "medium" if off and moved else "none"


def severity_of_share(value: float, interval: tuple[float, float] | None, baseline: Baseline) -> str:
    """How bad the change of a share is: none where its 95 % interval meets that at training."""
    if interval is None or baseline.value is None or baseline.low is None or baseline.high is None:
        return "none"
    moved = interval[0] > baseline.high or interval[1] < baseline.low
    return severity_of("missing", abs(value - baseline.value)) if moved else "none"


def expected_metrics(probabilities: np.ndarray, threshold: float | None) -> dict[str, float | None]:
    """What calibrated probabilities imply for their own metrics, by the names of `Binary.metrics`.

    Confidence-based estimation: each row counts as an event by its probability, and as none by the rest. Of
    several classes (rows, labels) accuracy, log loss and Brier. Figures that nobody decided positive leaves
    open are None.

    Args:
        threshold: from which a row is decided positive; 0.5 alone where there is none.
    """
    from scipy.special import xlogy

    p = np.asarray(probabilities, dtype=float)
    if p.ndim == 2:
        return {
            "accuracy": float(p.max(axis=1).mean()),
            "brier": float((p * (1 - p)).sum(axis=1).mean()),
            "log_loss": float(-xlogy(p, p).sum(axis=1).mean()),
        }
    decided = {name: value for name, value in _expected_decisions(p, 0.5).items() if name == "accuracy"}
    at_threshold = {} if threshold is None else _expected_decisions(p, threshold)
    return {
        "roc_auc": expected_roc_auc(p),
        "brier": float((p * (1 - p)).mean()),
        "log_loss": float(-(xlogy(p, p) + xlogy(1 - p, 1 - p)).mean()),
        **decided,
        **{f"{name}_at_threshold": value for name, value in at_threshold.items()},
    }


def _expected_decisions(p: np.ndarray, threshold: float) -> dict[str, float | None]:
    chosen = p >= threshold
    hits, events = p[chosen].sum(), p.sum()
    some = bool(chosen.any())
    return {
        "accuracy": float((hits + (1 - p[~chosen]).sum()) / len(p)),
        "precision": float(hits / chosen.sum()) if some else None,
        "recall": float(hits / events) if events else None,
        "f1": float(2 * hits / (chosen.sum() + events)) if some else None,
    }


def expected_roc_auc(probabilities: np.ndarray) -> float | None:
    """Area under the curve that calibrated probabilities imply for themselves; None where all are alike."""
    p = np.sort(np.asarray(probabilities, dtype=float))
    events, others = p.sum(), (1 - p).sum()
    if not len(p) or p[0] == p[-1] or not events or not others:
        return None
    values, start = np.unique(p, return_index=True)
    count = np.diff(np.append(start, len(p)))
    positive, negative = values * count, (1 - values) * count
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (events * others))
