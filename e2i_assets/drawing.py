"""Canvas and colours of all pictures; the same figures give the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#1f2933", "#9aa5b1", "#0460a9"


def canvas(width: float = 4.6, height: float = 4.4) -> tuple[Figure, Axes]:
    """One axes on a figure of its own: no pyplot, so no global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=90, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.title.set_fontsize(10)
    return figure, axes


def plain(name: str) -> str:
    """A name of the user's as it is: a dollar sign would begin a formula."""
    return name.replace("$", r"\$")


def png(figure: Figure) -> bytes:
    """A figure as PNG, as large as its longest label needs."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, bbox_inches="tight")
    return buffer.getvalue()
