"""Pictures of drift, as PNG; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e2i_assets.drawing import INK, LINE, SOFT, canvas, plain, png
from e2i_assets.monitoring.drift import ColumnDrift
from e2i_assets.monitoring.severity import SEVERITIES, WEIGHTS

_MOST_BINS = 12


def distribution(column: ColumnDrift) -> bytes | None:
    """Shares of a column's bins then and now; None where it was not compared."""
    compared = column.compared
    if compared is None or not compared.bins:
        return None
    largest = sorted(range(len(compared.bins)), key=lambda i: -(compared.was[i] + compared.now[i]))
    places = sorted(largest[:_MOST_BINS])
    figure, axes = canvas(4.6, 2.6)
    for shares, shift, colour, label in (
        (compared.was, -0.2, SOFT, "training"),
        (compared.now, 0.2, LINE, "now"),
    ):
        axes.bar(
            [i + shift for i in range(len(places))],
            [shares[p] for p in places],
            0.4,
            color=colour,
            label=label,
        )
    names = [plain(compared.bins[p])[:14] for p in places]
    axes.set_xticks(range(len(places)), names, rotation=45, ha="right", fontsize=7)
    axes.set_title(f"{plain(column.name)}: {column.severity}")
    axes.set_ylabel("share of patients")
    axes.legend(frameon=False, fontsize=8)
    return png(figure)


def history(runs: Sequence[Mapping[str, Any]]) -> bytes:
    """Severity of past comparisons and mean over all checks, the oldest first.

    Args:
        runs: with `severity` and `drift_score`.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(6.4, 2.6)
    order = range(1, len(runs) + 1)
    axes.plot(order, [WEIGHTS[run["severity"]] for run in runs], "o-", color=INK, label="worst")
    axes.plot(order, [run["drift_score"] for run in runs], "o-", color=LINE, label="mean of all checks")
    axes.set_yticks(list(WEIGHTS.values()), SEVERITIES)
    axes.set(ylim=(-0.05, 1.05), xlabel="comparison, the newest last")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    return png(figure)
