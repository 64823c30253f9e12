"""What deserves a person's attention, in words that anybody may read: never a patient's value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from e2i_assets.errors import E2IError

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the most."""
Kind = Literal["drift", "performance", "refresh", "gate", "sensor", "deployment", "retraining", "test"]
KINDS: dict[Kind, str] = {
    "drift": "what a version meets is no longer what it was trained on",
    "performance": "a model is behind its floor",
    "refresh": "a feed stopped, or runs of a partition died until they were given up",
    "gate": "a gate refused in a run that nobody started by hand",
    "sensor": "a sensor cannot read what it needs",
    "deployment": "an incident or a rollback of a service",
    "retraining": "a retraining waits, was refused or failed",
    "test": "a message that tries a channel",
}
"""Each kind, and what is told by it."""
AGGREGATION = dt.timedelta(minutes=60)
"""How long an acknowledged alert takes in further ones of its key, from the last of them on."""


class AlertRefused(E2IError, ValueError):
    """What is raised is no alert that a person could act on."""

    code = "alert"
    next_step = "Raise it with a kind and a severity that there are, and with what to do about it."


@dataclass(frozen=True)
class Alert:
    """Something that a person should know of. Its key is subject, kind and severity.

    Attributes:
        subject: what it is about, the same each time it happens: a model, a service, `new_data_sensor`.
        message: what happened, with counts and figures, never a patient's value.
        next_step: what to do about it; a command where there is one.
        partition, scope: of what it is about, for rules to filter by; None where it is of none.
        model_name, model_version: the registered version that it is about.
        details: figures, as plain JSON types.
    """

    kind: Kind
    severity: Severity
    subject: str
    message: str
    next_step: str
    partition: str | None = None
    scope: str | None = None
    model_name: str | None = None
    model_version: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise AlertRefused(f"there is no kind of alert {self.kind!r}", f"Kinds: {', '.join(KINDS)}.")
        if self.severity not in SEVERITIES:
            raise AlertRefused(
                f"there is no severity {self.severity!r}", f"Severities: {', '.join(SEVERITIES)}."
            )
        for name in ("subject", "message", "next_step"):
            if not getattr(self, name).strip():
                raise AlertRefused(f"an alert without {name}")


@dataclass(frozen=True)
class RaisedAlert(Alert):
    """An alert as it is recorded.

    Attributes:
        status: `active` until somebody acknowledges it.
        raised: how often it was raised, all of which it stands for.
        told: how many of them the notices that were sent or queued stand for.
        first_at, last_at: when it was raised first and last.
        told_at: when its last notice was queued; None before any.
        acknowledged_by, acknowledged_at, note: who took it on, when, and what they say.
    """

    id: int = 0
    status: str = "active"
    raised: int = 1
    told: int = 0
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    told_at: dt.datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: dt.datetime | None = None
    note: str | None = None

    @property
    def held_back(self) -> int:
        """How often it was raised since it was last told of."""
        return self.raised - self.told
