"""The quality report for people: Markdown for Dagit, one self-contained HTML page. Counts only, no values."""

from __future__ import annotations

import base64

from e2i_assets.contracts.markdown import plain, table
from e2i_assets.html_pages import render
from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.datadocs import FOLDER
from e2i_assets.quality.findings import QCFindings
from e2i_assets.quality.plots import dimension_chart

Grid = tuple[str, list[str], list[list[str]]]
"""Title, headings, rows of cells."""


def markdown(report: QCFindings) -> str:
    """Verdict line, next step, then one table per part that has something to say."""
    parts = [f"**{report.status}** · {_score(report)}", plain(report.fix_first)]
    for title, head, rows in _grids(report):
        parts.append(f"#### {title}\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def html(report: QCFindings) -> str:
    """One page without scripts, fonts or pictures from elsewhere."""
    return render(
        "quality_report.html",
        title="Data quality",
        status=report.status,
        score=_score(report),
        fix_first=report.fix_first,
        data_docs=FOLDER,
        picture=base64.b64encode(dimension_chart(report)).decode(),
        grids=_grids(report),
    )


def data_docs_index(report: QCFindings) -> str:
    """The page that leads to each suite's Data Docs; a suite that was not run has none, and says why."""
    return render("data_docs_index.html", title="Data Docs", status=report.status, suites=report.suites)


def _score(report: QCFindings) -> str:
    return f"score {report.score:.3f} (blocks below {report.score_threshold:.2f})"


def _grids(report: QCFindings) -> list[Grid]:
    grids = [
        _dimensions(report),
        ("Blockers", ["reason", "table", "what"], [[b.reason, b.table, b.message] for b in report.blockers]),
        _freshness(report),
        (
            "Agreed for this partition",
            ["what differs, and why"],
            [[difference] for difference in report.agreed],
        ),
        (
            "Not collected",
            ["table", "columns that no source brings, and that are not graded"],
            [[table, ", ".join(names)] for table, names in report.not_collected.items()],
        ),
        _suites(report),
        ("Warnings", ["what"], [[w] for w in report.warnings]),
        ("Judged versions", ["table", "version"], [[t, v] for t, v in sorted(report.raw_versions.items())]),
    ]
    return [grid for grid in grids if grid[2]]


def _dimensions(report: QCFindings) -> Grid:
    rows = [
        [t.table, str(t.rows), _contract(report, t.table), *(_grade(t.scores[d]) for d in DIMENSIONS)]
        for t in report.tables
    ]
    total = str(sum(report.table_rows.values()))
    rows.append(["all tables", total, "", *(_grade(report.dimensions[d]) for d in DIMENSIONS)])
    return "Dimensions", ["table", "rows", "contract", *DIMENSIONS], rows


def _freshness(report: QCFindings) -> Grid:
    rows = [
        [
            t.table,
            str(f.newest or "unknown"),
            ("stale after " if f.stale else "fresh until ") + str(f.fresh_until or "unknown"),
            f"{t.rows - f.late} of {t.rows}",
        ]
        for t in report.tables
        if (f := t.freshness)
    ]
    return "Timeliness", ["table", "newest record", "its age", "rows that arrived in time"], rows


def _contract(report: QCFindings, table: str) -> str:
    failures = next(len(s.failures) for s in report.schema if s.table == table)
    return f"{failures} broken" if failures else "kept"


def _suites(report: QCFindings) -> Grid:
    rows = [
        [
            s.suite,
            s.table,
            s.status,
            f"{s.successful} of {s.evaluated}",
            s.error
            or "; ".join(f"{f.expectation} ({f.column}): {_count(f.unexpected_count)}" for f in s.failed),
        ]
        for s in report.suites
    ]
    return "Expectation suites", ["suite", "table", "status", "rules that hold", "what does not"], rows


def _count(unexpected: int | None) -> str:
    return "does not hold" if unexpected is None else f"{unexpected} rows"


def _grade(grade: float | None) -> str:
    return "n/a" if grade is None else f"{grade:.3f}"
