"""Pictures of an explanation as PNG bytes: groups of patients, never one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from e2i_assets.drawing import INK, LINE, SOFT, canvas, plain, png
from e2i_assets.modeling.explanation.explain import Explanation, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = 15
PANELS = 4
PAIRS = 8
COLOURS = ("#0460a9", "#c2410c", "#4d7c0f", "#7e22ce", "#9aa5b1", "#b45309", "#0f766e", "#be123c")
LOW_TO_HIGH = "coolwarm"


def main_plots(explanation: Explanation) -> dict[str, bytes]:
    """Effects by value, of several outputs the importance, and interactions; by file name."""
    one = bool(explanation.groups) and len(explanation.outputs) == 1
    first = {"summary.png": _summary(explanation)} if one else {"importance.png": _importance(explanation)}
    more = {"interactions.png": _interactions(explanation)} if explanation.interactions else {}
    return first | more


def explanation_plots(explanation: Explanation) -> dict[str, bytes]:
    """Importance, effects by value, dependence of the most important features, interactions; by file name."""
    plots = {"importance.png": _importance(explanation)}
    if explanation.groups:
        if len(explanation.outputs) == 1:
            plots["summary.png"] = _summary(explanation)
        plots["dependence.png"] = _dependence(explanation)
    if explanation.interactions:
        plots["interactions.png"] = _interactions(explanation)
    return plots


def _importance(explanation: Explanation) -> bytes:
    shown = list(explanation.importance.items())[:TOP]
    title = f"SHAP: {len(shown)} of {len(explanation.importance)} features"
    return _bars([_words(name) for name, _ in shown], [v for _, v in shown], _mean(explanation), title)


def _interactions(explanation: Explanation) -> bytes:
    shown = explanation.interactions[:PAIRS]
    names = [f"{_words(a)} × {_words(b)}" for a, b, _ in shown]
    return _bars(
        names,
        [strength for *_, strength in shown],
        f"Beyond the sum of both ({explanation.scale})",
        "Interactions",
    )


def _bars(names: Sequence[str], values: Sequence[float], label: str, title: str) -> bytes:
    figure, axes = canvas(6.2, 0.8 + 0.28 * max(len(names), 3))
    axes.barh(range(len(names)), values, color=LINE)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.set_title(title)
    return png(figure)


def _summary(explanation: Explanation) -> bytes:
    """One dot for each group of patients: where it stands on the scale, as large as the group."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    figure, axes = canvas(6.8, 1.0 + 0.34 * max(len(explanation.groups), 3))
    for y, groups in enumerate(explanation.groups.values()):
        axes.scatter(
            [group.effects[0] for group in groups],
            [y] * len(groups),
            s=[20 + 260 * group.rows / explanation.rows for group in groups],
            c=[SOFT if g.place is None else colormaps[LOW_TO_HIGH](g.place) for g in groups],
            edgecolors="white",
            linewidths=0.6,
        )
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(explanation.groups)), [_words(name) for name in explanation.groups])
    axes.invert_yaxis()
    axes.set_xlabel(f"Mean SHAP value of each group ({explanation.scale})")
    axes.set_title("Groups of patients by value; grey: levels, missing")
    bar = figure.colorbar(ScalarMappable(cmap=LOW_TO_HIGH), ax=axes, ticks=[0, 1], pad=0.01, aspect=30)
    bar.ax.set_yticklabels(["low", "high"])
    bar.outline.set_visible(False)  # type: ignore[operator]
    return png(figure)


def _dependence(explanation: Explanation) -> bytes:
    from matplotlib.figure import Figure

    shown = list(explanation.groups.items())[:PANELS]
    rows = (len(shown) + 1) // 2
    figure = Figure(figsize=(7.2, 0.4 + 2.5 * rows), dpi=90, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, (name, groups) in zip(panels, shown, strict=False):
        _panel(axes, name, groups, explanation.outputs)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    figure.supylabel(f"Mean SHAP value ({explanation.scale})", fontsize=9)
    if len(explanation.outputs) > 1:
        panels[0].legend(fontsize=7, frameon=False)
    return png(figure)


def _panel(axes: Axes, name: str, groups: Sequence[Group], outputs: Sequence[str]) -> None:
    """Effect by value: a line through the groups of numbers, a dot for each level."""
    axes.spines[["top", "right"]].set_visible(False)
    ordered = [i for i, group in enumerate(groups) if group.place is not None]
    for output, label in enumerate(outputs):
        colour = COLOURS[output % len(COLOURS)]
        effects = [group.effects[output] for group in groups]
        axes.plot(ordered, [effects[i] for i in ordered], color=colour, linewidth=1.2)
        axes.scatter(range(len(groups)), effects, s=22, color=colour, label=plain(label))
    axes.axhline(0, color=SOFT, linewidth=0.8, zorder=0)
    axes.set_xticks(range(len(groups)), [plain(group.label[:12]) for group in groups], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title(_words(name), fontsize=9, color=INK)


def _mean(explanation: Explanation) -> str:
    return f"Mean |SHAP value| ({explanation.scale})"


def _words(name: str) -> str:
    return plain(name.replace("_", " "))
