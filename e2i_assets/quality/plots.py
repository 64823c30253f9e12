"""Pictures of quality, as PNG bytes; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.findings import QCFindings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BLUE = "#3b6ea5"
_STATUS = {"passed": "#176b3a", "warning": "#c98a00", "failed": "#a1161b"}


def dimension_chart(report: QCFindings) -> bytes:
    """The five grades over all tables as bars, and of each table as a grid; n/a where nothing was graded."""
    figure = _figure(11, 3.2)
    bars, grid = figure.subplots(1, 2, width_ratios=(1, 1.5))
    _bars(bars, report)
    names = ["all tables", *(t.table for t in report.tables)]
    _grid(grid, names, [report.dimensions, *(t.scores for t in report.tables)])
    return _png(figure)


def history_chart(reports: Sequence[Mapping[str, Any]], threshold: float) -> bytes:
    """Score and dimensions of past reports, oldest first, against the blocking score.

    Args:
        reports: with `overall_score`, `overall_status` and `<dimension>_score`, None where not graded.
    """
    from matplotlib.ticker import MaxNLocator

    figure = _figure(9, 3)
    axes = figure.subplots()
    order = range(1, len(reports) + 1)
    for d in DIMENSIONS:
        grades = [float("nan") if (g := r[f"{d}_score"]) is None else g for r in reports]
        axes.plot(order, grades, linewidth=1, alpha=0.7, label=d)
    scores = [r["overall_score"] for r in reports]
    axes.plot(order, scores, color="#222222", linewidth=2, label="score")
    axes.scatter(order, scores, color=[_STATUS[r["overall_status"]] for r in reports], zorder=3)
    axes.axhline(threshold, color=_STATUS["failed"], linestyle="--", linewidth=1, label="blocks below")
    axes.set(ylim=(0, 1.05), xlabel="report, the newest last", title="Quality so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return _png(figure)


def _bars(axes: Axes, report: QCFindings) -> None:
    names = DIMENSIONS[::-1]
    grades = [report.dimensions[d] for d in names]
    drawn = axes.barh(names, [g or 0.0 for g in grades], color=_BLUE)
    axes.bar_label(drawn, [_grade_text(g) for g in grades], padding=3)
    axes.set(xlim=(0, 1.2), title=f"{report.status}: score {report.score:.3f}")
    axes.spines[["top", "right"]].set_visible(False)


def _grid(axes: Axes, names: Sequence[str], rows: Sequence[Mapping[str, float | None]]) -> None:
    cells = [[float("nan") if (g := row[d]) is None else g for d in DIMENSIONS] for row in rows]
    axes.imshow(cells, cmap="RdYlGn", vmin=0.5, vmax=1, aspect="auto", alpha=0.75)
    axes.set_xticks(range(len(DIMENSIONS)), DIMENSIONS)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    for y, row in enumerate(rows):
        for x, d in enumerate(DIMENSIONS):
            axes.text(x, y, _grade_text(row[d]), ha="center", va="center", fontsize=8)
    axes.spines[:].set_visible(False)


def _grade_text(grade: float | None) -> str:
    return "n/a" if grade is None else f"{grade:.3f}"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=90, layout="constrained")


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = BytesIO()
    # Without this the file names the library and its version, and bytes change with an upgrade.
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()
