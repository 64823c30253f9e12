"""Pictures of a quality report, as PNG bytes; the same report gives the same bytes."""

from __future__ import annotations

from io import BytesIO

from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.report import QCReport


def dimension_chart(report: QCReport) -> bytes:
    """Horizontal bars of the five dimensions over all tables, 0 to 1; a dimension without grade has none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.4), dpi=100, layout="constrained")
    axes = figure.subplots()
    names = DIMENSIONS[::-1]
    grades = [report.dimensions[d] for d in names]
    bars = axes.barh(names, [g or 0.0 for g in grades], color="#3b6ea5")
    axes.bar_label(bars, ["n/a" if g is None else f"{g:.3f}" for g in grades], padding=3)
    axes.set(xlim=(0, 1.12), title=f"{report.status}: score {report.score:.3f}")
    axes.spines[["top", "right"]].set_visible(False)
    picture = BytesIO()
    # Without this the file names the library and its version, and bytes change with an upgrade.
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()
