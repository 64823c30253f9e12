"""Pictures of an effect's report: who is alike before and after weighting, and where both arms are found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from e2i_assets.causal.overlap import BINS
from e2i_assets.causal.report import EffectReport
from e2i_assets.drawing import INK, LINE, SOFT, canvas, plain, png

MOST_SHOWN = 25
ALIKE = 0.1
"""Standardised mean differences within this are those of a trial (Austin 2009)."""


def love_plot(report: EffectReport) -> bytes | None:
    """How far covariates go with the treatment, or the instrument, before and after adjustment, the largest
    first, as PNG; None without any.
    """
    shown = report.balance[:MOST_SHOWN][::-1]
    if not shown:
        return None
    figure, axes = canvas(5.6, 1.4 + 0.22 * len(shown))
    rows = np.arange(len(shown))
    axes.axvspan(-ALIKE, ALIKE, color=SOFT, alpha=0.25, linewidth=0)
    axes.scatter([b.before for b in shown], rows, color=SOFT, s=22, label="Before")
    after = "After weighting" if report.overlap else "After adjustment"
    axes.scatter([b.after for b in shown], rows, color=LINE, s=22, label=after)
    axes.set_yticks(rows, [plain(b.covariate) for b in shown], fontsize=8)
    axes.set_xlabel(_measure(report), color=INK)
    axes.legend(frameon=False, fontsize=8)
    return png(figure)


def _measure(report: EffectReport) -> str:
    if report.instruments is not None:
        return "Correlation with the instrument"
    dose = report.treatment_kind == "continuous"
    return "Correlation with the dose" if dose else "Standardised mean difference"


def overlap_plot(report: EffectReport, counted: Callable[[int], str] = "{:,}".format) -> bytes | None:
    """Propensities of both arms, one above the other, as PNG; None of a dose, or where none was fitted.

    Args:
        counted: a number of rows in words, where those of a few are not to be told.
    """
    if report.overlap is None:
        return None
    figure, axes = canvas(5.6, 3.6)
    middles = (np.arange(BINS) + 0.5) / BINS
    for counts, sign, color, arm in (
        (report.overlap.histogram_treated, 1, LINE, report.arm),
        (report.overlap.histogram_control, -1, SOFT, report.control),
    ):
        share = np.array(counts) / max(sum(counts), 1)
        label = f"{report.treatment} {arm}, n {counted(sum(counts))}"
        axes.bar(middles, sign * share, width=0.9 / BINS, color=color, label=plain(label))
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xlabel("Propensity", color=INK)
    axes.set_ylabel("Share of the arm", color=INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
    axes.legend(frameon=False, fontsize=8)
    return png(figure)
