"""What a person is warned of who has a model in use: that what it meets is not what it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Figure, Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.monitoring.watching import Watched

LOOK = (
    "Look at the report; where the change is real, train on it: `e2i materialize --partition` of the "
    "partition makes and registers a new version."
)
LOOK_AT_PERFORMANCE = "Look at the report; promote a retrained version, or take this one out of use."


def _no_drift(watched: Watched) -> Verdict:
    if not watched.judged:
        return refuse(
            "not_decided", watched.summary, "Watch again when more patients or predictions are there."
        )
    figures: dict[str, Figure] = {
        **watched.severities,
        "checks": watched.checks,
        "drift_score": watched.score,
    }
    if watched.severity == "none":
        return ok(watched.summary, **figures)
    rows = [
        {"column": column.name, "of": kind, "severity": column.severity, "why": column.why}
        for kind, column in watched.drifts()
        if column.drifted
    ] + [
        {"column": one.metric, "of": "concept", "severity": one.severity, "why": f"{one.value:.3f} now"}
        for one in watched.figures
        if one.severity != "none"
    ]
    return refuse("drift", watched.summary, LOOK, rows, **figures)


NO_DRIFT = Gate(
    "no_drift", "What the version meets is what it was trained on, and it does as well; warns.", _no_drift
)
