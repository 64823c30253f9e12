"""Pictures of a report are PNGs, the same for the same report, and there only where there is what they show."""

from __future__ import annotations

from dataclasses import replace

from e2i_assets.causal import EffectReport, love_plot, overlap_plot
from e2i_assets.causal.report import Balance, Overlap
from e2i_assets.cohorts.small_cells import Cells

REPORT = EffectReport(
    status="not_identified", treatment="engaged", outcome="started", covariates=("cost $",), estimand="ate",
    seed=0, rows=50, treated=20, arm="1", control="0", treatment_kind="binary", outcome_kind="binary",
    overlap=Overlap((0.1,) * 7, (0.1,) * 7, (1,) * 20, (2,) * 20, 0.1, 0.0, 15.0, 25.0, 0.7),
    balance=(Balance("cost $", 0.5, 0.02), Balance("plan=$", -0.2, 0.01)),
)  # fmt: skip


def test_they_are_pictures() -> None:
    for picture in (love_plot, overlap_plot):
        first = picture(REPORT)
        assert first is not None
        assert first.startswith(b"\x89PNG")
        assert picture(REPORT) == first
    assert love_plot(replace(REPORT, balance=REPORT.balance[:1])) != love_plot(REPORT)


def test_there_is_none_where_there_is_nothing_to_show() -> None:
    assert love_plot(replace(REPORT, balance=())) is None
    assert overlap_plot(replace(REPORT, overlap=None)) is None


def test_rows_in_a_legend_are_told_as_the_caller_tells_them() -> None:
    assert REPORT.overlap is not None
    fewer = replace(REPORT, overlap=replace(REPORT.overlap, histogram_control=(1,) * 20))  # of the same shape
    assert overlap_plot(fewer) != overlap_plot(REPORT)
    assert overlap_plot(fewer, Cells(50).text) == overlap_plot(REPORT, Cells(50).text)
