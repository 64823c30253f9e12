"""Pictures of an effect and of a model of effects, as PNG bytes; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from e2i_assets.causal.report import EffectReport
from e2i_assets.causal.scores import EffectGroup
from e2i_assets.modeling import drawing
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluation

FEW = 5
"""Patients below which a bar tells of them, and is not drawn."""
MOST = 25
"""Covariates of a love plot; the others differ less."""


def estimate_plots(report: EffectReport) -> dict[str, bytes]:
    """Every picture of an effect, by file name."""
    return {"balance.png": love_plot(report), "overlap.png": overlap_plot(report)}


def love_plot(report: EffectReport) -> bytes:
    """Standardised differences between the arms, before and after weighting; the most different first."""
    shown = report.balance[:MOST][::-1]
    figure, axes = drawing.canvas(6.2, 1.2 + 0.24 * max(len(shown), 3))
    places = range(len(shown))
    axes.axvline(0, color=drawing.INK, linewidth=1)
    for edge in (-0.1, 0.1):
        axes.axvline(edge, color=drawing.SOFT, linestyle=":", linewidth=1)
    axes.scatter([one.before for one in shown], places, color=drawing.SOFT, s=24, label="Before weighting")
    axes.scatter([one.after for one in shown], places, color=drawing.LINE, s=24, label="After weighting")
    axes.set_yticks(places, [drawing.plain(one.covariate.replace("_", " ")) for one in shown])
    axes.set_xlabel("Standardised mean difference")
    axes.set_title(f"{len(shown)} of {len(report.balance)} covariates")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return drawing.png(figure)


def overlap_plot(report: EffectReport) -> bytes:
    """Propensities of the treated upwards, of the others downwards."""
    figure, axes = drawing.canvas(5.2, 3.6)
    if (overlap := report.overlap) is not None:
        bins = len(overlap.histogram_treated)
        at = [(place + 0.5) / bins for place in range(bins)]
        above = [count if count >= FEW else 0 for count in overlap.histogram_treated]
        below = [-count if count >= FEW else 0 for count in overlap.histogram_control]
        axes.bar(at, above, 0.9 / bins, color=drawing.LINE, label="Treated")
        axes.bar(at, below, 0.9 / bins, color=drawing.SOFT, label="Not treated")
        axes.axhline(0, color=drawing.INK, linewidth=1)
        axes.set_title(f"{overlap.share_outside:.0%} outside 0.05 to 0.95; bars from {FEW} patients on")
        axes.legend(frameon=False, fontsize=8)
    axes.set(xlim=(0, 1), xlabel="Propensity", ylabel="Patients")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    return drawing.png(figure)


def evaluation_plots(evaluation: UpliftEvaluation) -> dict[str, bytes]:
    """Every picture of a model of effects on test, by file name; those that nothing is known for are not."""
    plots = {}
    if evaluation.qini is not None:
        plots["qini.png"] = _qini_plot(evaluation)
    if evaluation.calibration:
        plots["effect_calibration.png"] = _calibration_plot(evaluation)
    if any(group.effect for group in evaluation.segments):
        plots["effect_by_segment.png"] = segment_plot(evaluation.segments, f"{evaluation.rows} test patients")
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


def _calibration_plot(evaluation: UpliftEvaluation) -> bytes:
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
    axes.set_title(f"{evaluation.algorithm}: groups of {evaluation.rows} test patients")
    return drawing.png(figure)


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
