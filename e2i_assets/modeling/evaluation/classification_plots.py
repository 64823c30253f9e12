"""Pictures of a binary classifier on test; the same figures give the same bytes."""

from __future__ import annotations

import numpy as np

from e2i_assets import drawing
from e2i_assets.modeling.problems.base import Evaluation


def roc_plot(evaluation: Evaluation) -> bytes:
    """ROC curve on test, with the AUC and its 95 % interval."""
    figure, axes = drawing.canvas()
    auc, ends = evaluation.primary("test"), evaluation.interval("test")
    axes.plot([0, 1], [0, 1], color=drawing.SOFT, linestyle="--", linewidth=1)
    axes.plot(*zip(*evaluation.curves["roc"], strict=True), color=drawing.LINE, linewidth=2)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    if auc is not None and ends is not None:
        axes.set_title(f"{evaluation.algorithm}: AUC {auc:.3f} (95 % {ends.low:.3f} to {ends.high:.3f})")
    axes.text(0.98, 0.04, f"{evaluation.n_test} test rows", ha="right", color=drawing.INK, fontsize=9)
    return drawing.png(figure)


def precision_recall_plot(evaluation: Evaluation) -> bytes:
    """Precision by recall on test, with the average precision and its 95 % interval.

    It follows from the ROC curve and the share of positive rows, between the curve's points as well (Davis
    and Goadrich 2006).
    """
    figure, axes = drawing.canvas()
    false, true = np.array(evaluation.curves["roc"]).T
    confusion = evaluation.curves["confusion"]
    share = (confusion["fn"] + confusion["tp"]) / sum(confusion.values())
    place = np.linspace(0, len(true) - 1, 10 * len(true))
    false, recall = (np.interp(place, np.arange(len(true)), rates) for rates in (false, true))
    hits, alarms = share * recall, (1 - share) * false
    any_hit = hits > 0
    precision = hits[any_hit] / (hits + alarms)[any_hit]
    axes.axhline(share, color=drawing.SOFT, linestyle="--", linewidth=1)
    axes.plot(recall[any_hit], precision, color=drawing.LINE, linewidth=2)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01), aspect="equal")
    axes.set(xlabel="Recall", ylabel="Precision")
    value, ends = evaluation.metrics["test"].get("pr_auc"), evaluation.intervals["test"].get("pr_auc")
    if value is not None and ends is not None:
        axes.set_title(f"{evaluation.algorithm}: AUC-PR {value:.3f} (95 % {ends.low:.3f} to {ends.high:.3f})")
    return drawing.png(figure)


def calibration_plot(evaluation: Evaluation) -> bytes:
    """Predicted against observed share on test, in bins of equal size."""
    figure, axes = drawing.canvas()
    predicted = [b["predicted"] for b in evaluation.curves["calibration"]]
    observed = [b["observed"] for b in evaluation.curves["calibration"]]
    slope = evaluation.metrics["test"]["calibration_slope"]
    axes.plot([0, 1], [0, 1], color=drawing.SOFT, linestyle="--", linewidth=1)
    axes.plot(predicted, observed, color=drawing.LINE, linewidth=2, marker="o", markersize=5)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set(xlabel="Predicted probability", ylabel="Observed share")
    axes.set_title(
        f"{evaluation.algorithm}: Brier {evaluation.metrics['test']['brier']:.3f}"
        + (f", slope {slope:.2f}" if slope is not None else "")
    )
    return drawing.png(figure)


def decision_plot(evaluation: Evaluation) -> bytes:
    """Net benefit on test of deciding by the model, for all and for nobody, by threshold probability."""
    figure, axes = drawing.canvas()
    curve = evaluation.curves["decision"]
    at = [point["threshold"] for point in curve]
    highest = max(point["model"] for point in curve)
    for label, name, colour, line in (
        ("Everybody", "all", drawing.SOFT, "--"),
        ("Model", "model", drawing.LINE, "-"),
    ):
        axes.plot(
            at, [point[name] for point in curve], color=colour, linestyle=line, linewidth=2, label=label
        )
    axes.axhline(0, color=drawing.INK, linewidth=1, label="Nobody")
    if evaluation.threshold is not None:
        axes.axvline(evaluation.threshold, color=drawing.SOFT, linestyle=":", linewidth=1, label="Threshold")
    top = max(highest, curve[0]["all"], 0.02)
    axes.set(xlim=(0, 1), ylim=(-0.3 * top, 1.1 * top))
    axes.set(xlabel="Threshold probability", ylabel="Net benefit per patient")
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"{evaluation.algorithm}: net benefit on {evaluation.n_test} test rows")
    return drawing.png(figure)
