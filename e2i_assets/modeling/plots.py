"""Pictures of an evaluated model as PNG bytes; the same figures give the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from e2i_assets.modeling.evaluation import Evaluation
from e2i_assets.modeling.training import TrainedModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _SOFT, _LINE = "#1f2933", "#9aa5b1", "#0460a9"


def roc_plot(evaluation: Evaluation) -> bytes:
    """ROC curve on test, with the AUC and its 95 % interval."""
    figure, axes = _canvas(4.6, 4.4)
    ci = evaluation.auc_ci
    axes.plot([0, 1], [0, 1], color=_SOFT, linestyle="--", linewidth=1)
    axes.plot(*zip(*evaluation.roc, strict=True), color=_LINE, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    axes.set_title(f"{evaluation.algorithm}: AUC {ci.auc:.3f} (95 % {ci.low:.3f} to {ci.high:.3f})")
    axes.text(0.98, 0.04, f"{evaluation.n_test} test rows", ha="right", color=_INK, fontsize=9)
    return _png(figure)


def calibration_plot(evaluation: Evaluation) -> bytes:
    """Predicted against observed share on test, in bins of equal size."""
    figure, axes = _canvas(4.6, 4.4)
    predicted = [b.predicted for b in evaluation.calibration]
    observed = [b.observed for b in evaluation.calibration]
    slope = evaluation.metrics["test"]["calibration_slope"]
    axes.plot([0, 1], [0, 1], color=_SOFT, linestyle="--", linewidth=1)
    axes.plot(predicted, observed, color=_LINE, linewidth=2, marker="o", markersize=5)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="Predicted probability", ylabel="Observed share")
    axes.set_title(
        f"{evaluation.algorithm}: Brier {evaluation.metrics['test']['brier']:.3f}"
        + (f", slope {slope:.2f}" if slope is not None else "")
    )
    return _png(figure)


def importance_plot(trained: TrainedModel, *, top: int = 15) -> bytes:
    """Share of the most important raw features."""
    shown = list(trained.feature_importance.items())[:top][::-1]
    figure, axes = _canvas(6.2, 0.8 + 0.28 * max(len(shown), 3))
    axes.barh([name.replace("_", " ") for name, _ in shown], [share for _, share in shown], color=_LINE)
    axes.set_xlabel("Share of importance")
    axes.set_title(f"{trained.algorithm}: {len(shown)} of {len(trained.feature_importance)} features")
    return _png(figure)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """One axes on a figure of its own: no pyplot, so no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=90, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.title.set_fontsize(10)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
