"""Pictures of a trained model as PNG bytes; those of its evaluation belong to its problem type."""

from __future__ import annotations

from e2i_assets.modeling.drawing import LINE, canvas, plain, png
from e2i_assets.modeling.training import TrainedModel


def importance_plot(trained: TrainedModel, *, top: int = 15) -> bytes:
    """Share of the most important raw features."""
    shown = list(trained.feature_importance.items())[:top][::-1]
    figure, axes = canvas(6.2, 0.8 + 0.28 * max(len(shown), 3))
    axes.barh(range(len(shown)), [share for _, share in shown], color=LINE)
    axes.set_yticks(range(len(shown)), [plain(name.replace("_", " ")) for name, _ in shown])
    axes.set_xlabel("Share of importance")
    axes.set_title(f"{trained.algorithm}: {len(shown)} of {len(trained.feature_importance)} features")
    return png(figure)
