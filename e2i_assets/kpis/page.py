"""The page of the indicators: one file without scripts, that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence

from e2i_assets.html_pages import render
from e2i_assets.kpis.report import CLASSES, WORDS, KpiReport

TEMPLATE = "kpi_report.html"


def kpi_page(reports: Sequence[KpiReport]) -> str:
    """The page of one or more partitions."""
    worst = "passed" if all(report.ok for report in reports) else "failed"
    return render(TEMPLATE, title="KPIs", status=worst, reports=reports, words=WORDS, classes=CLASSES)
