"""Leakage audits for people: one self-contained HTML page. Counts and names of columns only, no values."""

from __future__ import annotations

from collections.abc import Mapping

from e2i_assets.html_pages import render
from e2i_assets.leakage.findings import LeakageReport

_KINDS = {
    "availability": "features judged by the contract",
    "temporal": "columns of dates compared with the index date",
    "target": "features compared with the target",
    "contamination": "pairs of splits compared",
}


def html(reports: Mapping[str, LeakageReport]) -> str:
    """One page of all reports, by the name of what was audited."""
    status = "passed" if all(report.ok for report in reports.values()) else "failed"
    return render("leakage_audit.html", title="Leakage audit", status=status, reports=reports, kinds=_KINDS)
