"""Pictures of an effect and of a model of effects, as PNG bytes; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from e2i_assets import drawing
from e2i_assets.causal.plots import love_plot, overlap_plot
from e2i_assets.causal.report import EffectReport
from e2i_assets.causal.scores import EffectGroup
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluation
from e2i_assets.modeling.uplift.model import UpliftModel

TOP = 15
"""Features that are drawn."""


def estimate_plots(report: EffectReport, cells: Cells) -> dict[str, bytes]:
    """Every picture of an effect, by file name; those that nothing is known for are not."""
    plots = {"balance.png": love_plot(report), "overlap.png": overlap_plot(report, cells.text)}
    return {name: png for name, png in plots.items() if png is not None}


def evaluation_plots(evaluation: UpliftEvaluation, cells: Cells) -> dict[str, bytes]:
    """Every picture of a model of effects on test, by file name; those that nothing is known for are not."""
    plots = {}
    about = f"{cells.text(evaluation.rows)} test patients"
    if evaluation.qini is not None:
        plots["qini.png"] = _qini_plot(evaluation)
    if evaluation.calibration:
        plots["effect_calibration.png"] = _calibration_plot(evaluation, about)
    if any(group.effect for group in evaluation.segments):
        plots["effect_by_segment.png"] = segment_plot(evaluation.segments, about)
    return plots


def _qini_plot(evaluation: UpliftEvaluation) -> bytes:
    ranking = evaluation.qini
    assert ranking is not None
    figure, axes = drawing.canvas()
    gains = ranking.gains
    axes.fill_between(
        ranking.shares, [gain.low for gain in gains], [gain.high for gain in gains],
        color=drawing.LINE, alpha=0.15, linewidth=0,
    )  # fmt: skip
    axes.plot(ranking.shares, [gain.value for gain in gains], color=drawing.LINE, linewidth=2, label="Model")
    axes.plot([0, 1], [0, gains[-1].value], color=drawing.SOFT, linestyle="--", linewidth=1, label="By lot")
    qini = ranking.qini
    axes.set(xlim=(0, 1), xlabel="Share that is treated", ylabel="Gain per patient")
    axes.set_title(f"{evaluation.algorithm}: Qini {qini.value:.3f} (95 % {qini.low:.3f} to {qini.high:.3f})")
    axes.legend(frameon=False, fontsize=9)
    return drawing.png(figure)


def _calibration_plot(evaluation: UpliftEvaluation, about: str) -> bytes:
    figure, axes = drawing.canvas()
    known = [(group.predicted, group.effect) for group in evaluation.calibration]
    predicted = [value for value, _ in known if value is not None]
    measured = [effect for _, effect in known if effect is not None]
    axes.errorbar(
        predicted, [effect.value for effect in measured],
        yerr=[
            [effect.value - effect.low for effect in measured],
            [effect.high - effect.value for effect in measured],
        ],
        color=drawing.LINE, marker="o", linestyle="none", capsize=3,
    )  # fmt: skip
    ends = [min(predicted), max(predicted)]
    axes.plot(ends, ends, color=drawing.SOFT, linestyle="--", linewidth=1)
    axes.axhline(0, color=drawing.INK, linewidth=0.5)
    axes.set(xlabel="Predicted effect", ylabel="Measured effect")
    axes.set_title(f"{evaluation.algorithm}: groups of {about}")
    return drawing.png(figure)


def importance_plots(model: UpliftModel) -> dict[str, bytes]:
    """Which features the effect differs by, by file name; of the constant effect none."""
    if not model.importance:
        return {}
    shown = list(model.importance.items())[:TOP][::-1]
    figure, axes = drawing.canvas(6.2, 0.8 + 0.28 * max(len(shown), 3))
    axes.barh(range(len(shown)), [value for _, value in shown], color=drawing.LINE)
    axes.set_yticks(range(len(shown)), [drawing.plain(name.replace("_", " ")) for name, _ in shown])
    axes.set_xlabel("Mean |SHAP value| of the effect")
    axes.set_title(f"{model.algorithm}: {len(shown)} of {len(model.importance)} features")
    return {"effect_importance.png": drawing.png(figure)}


def segment_plot(segments: Sequence[EffectGroup], about: str) -> bytes:
    """Effects on segments with their 95 % intervals; those of too few patients are left out."""
    shown = [(group, group.effect) for group in segments if group.effect is not None][::-1]
    figure, axes = drawing.canvas(6.2, 1.0 + 0.26 * max(len(shown), 3))
    axes.axvline(0, color=drawing.INK, linewidth=0.8)
    for place, (_, effect) in enumerate(shown):
        axes.plot([effect.low, effect.high], [place, place], color=drawing.LINE, linewidth=2)
        axes.plot(effect.value, place, color=drawing.LINE, marker="o", markersize=5)
    names = [f"{group.by.replace('_', ' ')}: {group.level}" for group, _ in shown]
    axes.set_yticks(range(len(shown)), [drawing.plain(name) for name in names])
    axes.set_xlabel("Effect, with its 95 % interval")
    axes.set_title(f"Effect by segment, {about}")
    return drawing.png(figure)
