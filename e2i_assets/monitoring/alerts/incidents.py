"""What went wrong with a service, as an alert."""

from __future__ import annotations

from collections.abc import Mapping

from e2i_assets.monitoring.alerts.alert import Alert, Severity

_LOOK = "`e2i deploy status` shows what answers."
_OF_KIND: Mapping[str, tuple[Severity, str]] = {
    "release_failed": (
        "high",
        f"{_LOOK} Mend what the reason names, then name the model: e2i deploy run MODEL",
    ),
    "rolled_back": (
        "high",
        f"{_LOOK} Find out why it failed before its version is promoted again: e2i models history",
    ),
    "process_died": ("medium", f"{_LOOK} It was started again; read the service's log if it goes on."),
    "unhealthy": ("critical", f"{_LOOK} Nothing is done by itself: e2i deploy rollback MODEL --to VERSION"),
}
"""Severity and what to do; an incident of another kind is critical, as nobody has said otherwise."""


def alert_of_incident(service: str, release: str | None, kind: str, reason: str, action: str) -> Alert:
    """An incident in words for whoever looks after the service."""
    severity, next_step = _OF_KIND.get(kind, ("critical", _LOOK))
    return Alert(
        "deployment",
        severity,
        subject=f"{service}: {kind}",
        message=f"{service}: {reason}; {action}",
        next_step=next_step,
        details={"release": release, "incident": kind},
    )
