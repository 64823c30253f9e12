"""Leakage audits for people: one self-contained HTML page. Counts and names of columns only, no values."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from e2i_assets.leakage.findings import LeakageReport
from e2i_assets.quality.render import page, section

_KINDS = {
    "availability": "features judged by the contract",
    "temporal": "columns of dates compared with the index date",
    "target": "features compared with the target",
    "contamination": "pairs of splits compared",
}


def html(reports: Mapping[str, LeakageReport]) -> str:
    """One page of all reports, by the name of what was audited."""
    clean = all(report.ok for report in reports.values())
    body = "".join(_audit(name, report) for name, report in reports.items())
    return page("Leakage audit", "passed" if clean else "failed", body)


def _audit(name: str, report: LeakageReport) -> str:
    said = f"{len(report.findings)} findings in {report.rows:,} rows, target {report.target}."
    unjudged = f" Without any value, not judged: {', '.join(report.unjudged)}." if report.unjudged else ""
    if report.undeclared:
        unjudged += f" Nobody has said when these are known: {', '.join(report.undeclared)}."
    rows = [
        [f.kind, f.column, f"{f.statistic:.3f}", f"{f.threshold:.3f}", f.evidence] for f in report.findings
    ]
    head = ["kind", "column", "statistic", "threshold", "evidence"]
    looked = [[_KINDS[kind], str(n) if n else "none: not looked at"] for kind, n in report.examined.items()]
    return (
        f"<h2>{escape(name)}</h2><p>{escape(said + unjudged)}</p>"
        + (section("Findings", head, rows) if rows else "")
        + section("What was looked at", ["", ""], looked)
        + (section("Not to be decided", [""], [[said] for said in report.limits]) if report.limits else "")
    )
