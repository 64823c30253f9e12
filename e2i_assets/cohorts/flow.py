"""The attrition as a flow picture in the manner of CONSORT; the same result gives the same bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from typing import Any

from e2i_assets.cohorts.attrition import CohortResult, EligibilityLogEntry
from e2i_assets.cohorts.small_cells import EXACT, Cells

STAGES = {
    "inclusion": "Meet the inclusion criteria",
    "exclusion": "Without an exclusion criterion",
    "temporal": "Cohort, observed through the windows",
}
WRAP = 62
LINE, PADDING, GAP, WIDTH = 0.19, 0.16, 0.3, 9.0
"""Inches: a line of text, room in a box, room between boxes, the picture."""
COLOUR = "#3b6ea5"


@dataclass(frozen=True)
class Stage:
    """What one kind of rule leaves, and what each of them removes."""

    removed: Sequence[str]
    left: str


def flow_picture(result: CohortResult, cells: Cells = EXACT) -> bytes:
    """PNG: remaining journeys downwards, and beside them what each rule removed, in the order applied."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    stages = list(_stages(result, cells))
    main = 2 * LINE + 2 * PADDING
    height = GAP + main + sum(_side_height(stage) + main + 2 * GAP for stage in stages)
    figure = Figure(figsize=(WIDTH, height), dpi=80)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    top = height - GAP / 2
    _box(axes, 0.3, top, 3.2, main, [f"All journeys\nn = {cells.text(result.total_count)}"], bold=True)
    for stage in stages:
        above, side = top - main, _side_height(stage)
        top = above - side - 2 * GAP
        _arrow(axes, (1.9, above), (1.9, top))
        middle = (above + top) / 2
        _arrow(axes, (1.9, middle), (3.9, middle))
        _box(axes, 3.9, middle + side / 2, WIDTH - 4.2, side, stage.removed)
        _box(axes, 0.3, top, 3.2, main, [stage.left], bold=True)
    picture = BytesIO()
    # Without this the file names the library and its version, and bytes change with an upgrade.
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()


def _stages(result: CohortResult, cells: Cells) -> Iterator[Stage]:
    for kind, group in groupby(result.eligibility_log, key=lambda entry: entry.criterion_type):
        entries = list(group)
        removed = sum(entry.removed_count for entry in entries)
        lines = [line for entry in entries for line in _removed(entry, cells)]
        yield Stage(
            [f"Removed (n = {cells.text(removed)})", *lines],
            f"{STAGES[kind]}\nn = {cells.text(entries[-1].remaining_count)}",
        )


def _removed(entry: EligibilityLogEntry, cells: Cells) -> list[str]:
    exclusion = entry.criterion_type == "exclusion"
    # An exclusion keeps whom it knows nothing of, the others remove them.
    unknown = f" ({cells.text(entry.null_count)} without a value{' kept' if exclusion else ''})"
    noted = unknown if entry.null_count else ""
    text = f"{'' if exclusion else 'not: '}{entry.label}: {cells.text(entry.removed_count)}{noted}"
    return textwrap.wrap(_plain(text), WRAP, initial_indent="• ", subsequent_indent="   ")


def _plain(text: str) -> str:
    """A dollar sign would begin a formula."""
    return " ".join(text.split()).replace("$", r"\$")


def _side_height(stage: Stage) -> float:
    return len(stage.removed) * LINE + 2 * PADDING


def _box(
    axes: Any, left: float, top: float, width: float, height: float, lines: Sequence[str], bold: bool = False
) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, top - height), width, height, facecolor="white", edgecolor=COLOUR))
    x, align = (left + width / 2, "center") if bold else (left + 0.12, "left")
    axes.text(
        x, top - height / 2, "\n".join(lines), ha=align, va="center", ma=align, fontsize=9,
        weight="bold" if bold else "normal", linespacing=1.3,
    )  # fmt: skip


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": COLOUR})
