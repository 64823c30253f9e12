"""The page of a drift report: one file without scripts, that loads nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from e2i_assets.html_pages import render
from e2i_assets.monitoring.plots import distribution, history
from e2i_assets.monitoring.severity import SEVERITIES
from e2i_assets.monitoring.watching import Watched

TEMPLATE = "drift_report.html"
MOST_PICTURES = 8


def drift_page(
    watched: Watched, runs: Sequence[Mapping[str, Any]], *, patients: str, predictions: str
) -> str:
    """The page.

    Args:
        runs: past comparisons of the scope and this one, the oldest first.
        patients, predictions: how many were looked at, as a person may read it.
    """
    columns = sorted(watched.drifts(), key=lambda one: -SEVERITIES.index(one[1].severity))
    pictures = [distribution(column) for _, column in columns[:MOST_PICTURES]]
    return render(
        TEMPLATE,
        title=f"Drift of {watched.profile.model_name} version {watched.profile.version}",
        status={"none": "passed", "low": "warning", "medium": "warning"}.get(watched.severity, "failed"),
        watched=watched,
        columns=columns,
        pictures=[b64encode(one).decode() for one in pictures if one],
        history=b64encode(history(runs)).decode(),
        patients=patients,
        predictions=predictions,
    )
