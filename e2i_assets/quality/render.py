"""The quality report for people: Markdown for Dagit, one self-contained HTML page. Counts only, no values."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from e2i_assets.contracts.markdown import plain, table
from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.datadocs import FOLDER
from e2i_assets.quality.plots import dimension_chart

if TYPE_CHECKING:
    from e2i_assets.quality.expectations import SuiteResult
    from e2i_assets.quality.report import QCReport

Grid = tuple[str, list[str], list[list[str]]]
"""Title, headings, rows of cells."""

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem;width:100%}"
    "th,td{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    "img{max-width:100%}.passed{color:#176b3a}.warning{color:#8a5a00}.failed,.error{color:#a1161b}"
)


def markdown(report: QCReport) -> str:
    """Verdict line, next step, then one table per part that has something to say."""
    parts = [f"**{report.status}** · {_score(report)}", plain(report.fix_first)]
    for title, head, rows in _grids(report):
        parts.append(f"#### {title}\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def html(report: QCReport) -> str:
    """One page without scripts, fonts or pictures from elsewhere."""
    picture = base64.b64encode(dimension_chart(report)).decode()
    body = (
        f"<p>{escape(_score(report))}</p><p>{escape(report.fix_first)}</p>"
        f'<p><a href="{FOLDER}/index.html">Data Docs of the expectation suites</a></p>'
        f'<img alt="Grades of the five dimensions" src="data:image/png;base64,{picture}">'
    )
    return page("Data quality", report.status, body + "".join(section(*grid) for grid in _grids(report)))


def data_docs_index(report: QCReport) -> str:
    """The page that leads to each suite's Data Docs; a suite that was not run has none, and says why."""
    rows = "".join(
        f"<tr><td>{_link(s)}</td><td>{escape(s.table)}</td><td class={s.status}>{s.status}</td>"
        f"<td>{s.successful} of {s.evaluated}</td><td>{escape(s.error or '')}</td></tr>"
        for s in report.suites
    )
    headings = "".join(f"<th>{h}</th>" for h in ("suite", "table", "status", "rules that hold", "error"))
    table = f"<table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>"
    back = '<p><a href="../report.html">Quality report</a></p>'
    return page("Data Docs", report.status, back + table)


def _link(suite: SuiteResult) -> str:
    name = escape(suite.suite)
    return f'<a href="{name}.html">{name}</a>' if suite.page else name


def page(title: str, status: str, body: str) -> str:
    """A page without scripts; `status` is `passed`, `warning` or `failed`, `body` is HTML."""
    named = escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{named}</title>'
        f'<style>{_STYLE}</style></head><body><h1>{named}: <span class="{status}">{status}</span></h1>'
        f"{body}</body></html>\n"
    )


def stamped(page: str, about: str) -> str:
    """A page that says at its top, and in its title, of what and when it is."""
    line = escape(about)
    return page.replace("<title>", f"<title>{line}: ", 1).replace("<body>", f"<body><p>{line}</p>", 1)


def section(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A heading and a table, its texts escaped."""
    headings = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<h2>{escape(title)}</h2><table><thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table>"


def _score(report: QCReport) -> str:
    return f"score {report.score:.3f} (blocks below {report.score_threshold:.2f})"


def _grids(report: QCReport) -> list[Grid]:
    grids = [
        _dimensions(report),
        ("Blockers", ["reason", "table", "what"], [[b.reason, b.table, b.message] for b in report.blockers]),
        _freshness(report),
        ("Agreed for this partition", ["what differs, and why"], [[said] for said in report.agreed]),
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


def _dimensions(report: QCReport) -> Grid:
    rows = [
        [t.table, str(t.rows), _contract(report, t.table), *(_grade(t.scores[d]) for d in DIMENSIONS)]
        for t in report.tables
    ]
    total = str(sum(report.table_rows.values()))
    rows.append(["all tables", total, "", *(_grade(report.dimensions[d]) for d in DIMENSIONS)])
    return "Dimensions", ["table", "rows", "contract", *DIMENSIONS], rows


def _freshness(report: QCReport) -> Grid:
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


def _contract(report: QCReport, table: str) -> str:
    failures = next(len(s.failures) for s in report.schema if s.table == table)
    return f"{failures} broken" if failures else "kept"


def _suites(report: QCReport) -> Grid:
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
