"""Pictures of a trained model and of its evaluation, as PNG bytes."""

from __future__ import annotations

from e2i_assets.drawing import LINE, canvas, plain, png
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.scopes.problem_types import problem_of
from e2i_assets.modeling.training.model import TrainedModel


def importance_plot(trained: TrainedModel, *, top: int = 15) -> bytes:
    """Share of the most important raw features."""
    shown = list(trained.feature_importance.items())[:top][::-1]
    figure, axes = canvas(6.2, 0.8 + 0.28 * max(len(shown), 3))
    axes.barh(range(len(shown)), [share for _, share in shown], color=LINE)
    axes.set_yticks(range(len(shown)), [plain(name.replace("_", " ")) for name, _ in shown])
    axes.set_xlabel("Share of importance")
    axes.set_title(f"{trained.algorithm}: {len(shown)} of {len(trained.feature_importance)} features")
    return png(figure)


def evaluation_plots(evaluation: Evaluation) -> dict[str, bytes]:
    """Every picture of an evaluation, by file name: those of its problem type, and the learning curve."""
    learning = {"learning_curve.png": _learning_plot(evaluation)} if "learning" in evaluation.curves else {}
    return {**problem_of(evaluation.problem_type).plots(evaluation), **learning}


def _learning_plot(evaluation: Evaluation) -> bytes:
    """Primary metric on validation by rows of train."""
    figure, axes = canvas()
    points = evaluation.curves["learning"]
    axes.plot(
        [point["rows"] for point in points], [point["score"] for point in points],
        color=LINE, linewidth=2, marker="o", markersize=5,
    )  # fmt: skip
    axes.set_xlim(left=0)
    axes.set(xlabel="Rows of train", ylabel=f"{evaluation.primary_metric} on validation")
    axes.set_title(f"{evaluation.algorithm}: by rows that it is fitted on")
    return png(figure)
