"""Pictures of a study as PNG bytes: its history, what mattered, and which values went together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from e2i_assets.drawing import INK, LINE, SOFT, canvas, plain, png
from e2i_assets.modeling.tuning.study import TunedParams


def study_plots(tuned: TunedParams) -> dict[str, bytes]:
    """Each picture by name; those that need several finished trials are left out where there are too few."""
    plots = {"study_history.png": history_plot(tuned)}
    if tuned.importance:
        plots["study_importance.png"] = importance_plot(tuned)
        plots["study_parallel_coordinates.png"] = parallel_coordinates_plot(tuned)
    return plots


def history_plot(tuned: TunedParams) -> bytes:
    """Score of every trial, in order, and the best so far; those that an earlier study gave are marked."""
    figure, axes = canvas(6.2, 3.4)
    completed = _completed(tuned)
    numbers, values = [t["number"] for t in completed], [t["value"] for t in completed]
    pruned = [t for t in tuned.trials if t["state"] == "PRUNED"]
    axes.scatter([t["number"] for t in pruned], [t["value"] for t in pruned], color=SOFT, marker="x", s=18)
    axes.scatter(numbers, values, color=LINE, s=18)
    axes.step(numbers, np.maximum.accumulate(values), where="post", color=INK, linewidth=1)
    warm = {start.trial for start in tuned.warm_start}
    axes.scatter(
        [t["number"] for t in completed if t["number"] in warm],
        [t["value"] for t in completed if t["number"] in warm],
        facecolors="none",
        edgecolors=INK,
        s=60,
    )
    marks = "● finished, × pruned" + (", ○ from an earlier study" if warm else "")
    axes.set(xlabel=f"Trial ({marks})", ylabel=tuned.metric)
    axes.set_title(f"{tuned.algorithm}: best of {tuned.n_trials} trials {tuned.best_value:.4g}")
    return png(figure)


def importance_plot(tuned: TunedParams) -> bytes:
    """Share of each parameter in what separates good trials from the others."""
    shares = list(tuned.importance.items())[::-1]
    figure, axes = canvas(6.2, 0.8 + 0.28 * max(len(shares), 3))
    axes.barh(range(len(shares)), [share for _, share in shares], color=LINE)
    axes.set_yticks(range(len(shares)), [plain(name) for name, _ in shares])
    axes.set_xlabel("Share of importance (PED-ANOVA)")
    axes.set_title(f"{tuned.algorithm}: what mattered in {tuned.n_completed} finished trials")
    return png(figure)


def parallel_coordinates_plot(tuned: TunedParams) -> bytes:
    """A line per finished trial through its values, dark where it scored well; each axis in its own range."""
    figure, axes = canvas(6.2, 3.4)
    completed = _completed(tuned)
    names = list(tuned.search_space)
    heights = np.column_stack(
        [_heights([t["params"][name] for t in completed], tuned.search_space[name]) for name in names]
    )
    ranks = np.argsort(np.argsort([t["value"] for t in completed])) / max(len(completed) - 1, 1)
    for rank, line in sorted(zip(ranks, heights.tolist(), strict=True)):
        axes.plot(range(len(names)), line, color=LINE, alpha=0.08 + 0.85 * rank**3, linewidth=0.8 + rank**3)
    axes.set_xticks(
        range(len(names)),
        [f"{plain(name)}\n{_ends(tuned.search_space[name])}" for name in names],
        fontsize=7,
    )
    axes.set_yticks([])
    axes.set_title(f"{tuned.algorithm}: the darker, the higher {tuned.metric}")
    return png(figure)


def _completed(tuned: TunedParams) -> list[Mapping[str, Any]]:
    return [trial for trial in tuned.trials if trial["state"] == "COMPLETE"]


def _heights(values: Sequence[Any], spec: Mapping[str, Any]) -> np.ndarray:
    """Where each value lies on its axis, 0 to 1."""
    if spec["type"] == "categorical":
        choices = list(spec["choices"])
        return np.array([choices.index(value) for value in values]) / max(len(choices) - 1, 1)
    scale = np.log if spec.get("log") else np.asarray
    low, high = scale(spec["low"]), scale(spec["high"])
    return (scale(np.array(values, dtype=float)) - low) / (high - low or 1.0)


def _ends(spec: Mapping[str, Any]) -> str:
    if spec["type"] == "categorical":
        return f"{spec['choices'][0]} to {spec['choices'][-1]}"
    return f"{spec['low']:g} to {spec['high']:g}"
