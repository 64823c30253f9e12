"""The picture of a graph of causes: what is adjusted for, what is not, from causes at the left to effects."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from e2i_assets.causal.graph import CausalGraph
from e2i_assets.drawing import INK, LINE, SOFT, canvas, plain, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_LENGTH = 13
"""Letters of a name on one line."""


def graph_picture(graph: CausalGraph, treatment: str, outcome: str, adjusted: Collection[str]) -> bytes:
    """A graph as PNG: treatment and outcome filled, covariates with a whole outline, the rest with a broken
    one.
    """
    places = _places(graph, treatment, outcome)
    columns = 1 + max(x for x, _ in places.values())
    rows = 1 + max(y for _, y in places.values()) - min(y for _, y in places.values())
    figure, axes = canvas(max(3.5, 1.75 * columns), max(2.0, 0.75 * rows + 0.6))
    axes.set_axis_off()
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(min(y for _, y in places.values()) - 0.6, max(y for _, y in places.values()) + 0.6)
    boxes = {
        name: _box(axes, name, places[name], _look(name, (treatment, outcome), adjusted)) for name in places
    }
    figure.canvas.draw()  # an arrow ends at the outline of a box, which has no size before
    for cause, effect in graph.edges:
        asked = (cause, effect) == (treatment, outcome)
        _arrow(axes, boxes, places, cause, effect, LINE if asked else INK)
    axes.set_title(
        "Filled: treatment, outcome. Whole outline: adjusted for. Broken: not.", color=INK, fontsize=8
    )
    return png(figure)


def _places(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, tuple[float, float]]:
    """Column by the longest way that leads to a node, row such that arrows pass beside nodes.

    Treatment and outcome share a row with what lies between them; all else is above or below by turns.
    """
    import networkx as nx

    network = graph.network()
    columns = {
        name: column for column, names in enumerate(nx.topological_generations(network)) for name in names
    }
    for name in reversed(list(nx.topological_sort(network))):  # a cause stands near its first effect
        if effects := list(network.successors(name)):
            columns[name] = min(columns[effect] for effect in effects) - 1
    first = min(columns.values())
    between = (graph.after(treatment) & graph.before(outcome)) | {treatment, outcome}
    taken: dict[int, int] = {}
    places: dict[str, tuple[float, float]] = {}
    for name in sorted(graph.nodes, key=lambda node: node not in (treatment, outcome)):
        column = columns[name]
        if name in (treatment, outcome):
            places[name] = (column - first, 0.0)
            continue
        number = taken[column] = taken.get(column, 0) + 1
        away = (number + 1) // 2 * (1 if number % 2 else -1)
        # Half a row off between treatment and outcome, whose arrow is to pass.
        places[name] = (column - first, away * 0.8 if name in between else float(away))
    return places


def _look(name: str, asked: tuple[str, str], adjusted: Collection[str]) -> dict[str, Any]:
    if name in asked:
        return {"facecolor": LINE if name == asked[0] else INK, "edgecolor": "none", "linestyle": "-"}
    whole = name in adjusted
    return {"facecolor": "white", "edgecolor": INK if whole else SOFT, "linestyle": "-" if whole else "--"}


def _box(axes: Axes, name: str, place: tuple[float, float], look: dict[str, Any]) -> Any:
    filled = look["edgecolor"] == "none"
    return axes.annotate(
        _lines(plain(name)), place, ha="center", va="center", fontsize=8, color="white" if filled else INK,
        bbox={"boxstyle": "round,pad=0.35", "linewidth": 1.1, **look}, zorder=3,
    )  # fmt: skip


def _lines(name: str) -> str:
    """A name in lines, parted at its underscores and spaces."""
    lines = [""]
    for word in name.replace("_", " ").split():
        joined = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], joined] if len(joined) <= LINE_LENGTH or not lines[-1] else [*lines, word]
    return "\n".join(lines)


def _arrow(axes: Axes, boxes: Any, places: Any, cause: str, effect: str, color: str) -> None:
    """From outline to outline; bent where it would run over the nodes of its own row."""
    (x, y), (to_x, to_y) = places[cause], places[effect]
    bend = 0.25 if y == to_y and to_x - x > 1 else 0.0
    axes.annotate(
        "", (to_x, to_y), (x, y),
        arrowprops={
            "arrowstyle": "-|>", "color": color, "linewidth": 1.1, "connectionstyle": f"arc3,rad={bend}",
            "patchA": boxes[cause].get_bbox_patch(), "patchB": boxes[effect].get_bbox_patch(),
        }, zorder=2,
    )  # fmt: skip
