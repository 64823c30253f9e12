"""Notices of alerts: queued once, and claimed by one sender at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from e2i_assets.monitoring.alerts.alert import RaisedAlert
from e2i_assets.monitoring.alerts.routing import LONGEST_PAUSE
from e2i_assets.warehouse.alert_records import alert_deliveries, monitoring_alerts

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

_ALERT, _OF = monitoring_alerts.c, alert_deliveries.c
_SAME = ("subject", "kind", "severity")

Decide = Callable[[RaisedAlert, Sequence[dt.datetime]], Collection[str]]
"""From an alert and the moments of the notices of its subject, kind and severity to channels to tell now."""


@dataclass(frozen=True)
class Delivery:
    """A notice on its way over one channel; see `alert_deliveries` for its attributes."""

    id: int
    alert_id: int
    channel: str
    up_to: int
    held_back: int
    queued_at: dt.datetime
    attempts: int
    next_attempt_at: dt.datetime
    sent_at: dt.datetime | None
    error: str | None


def queue_notices(warehouse: Warehouse, decide: Decide, now: dt.datetime) -> int:
    """Queue a notice of each active alert that `decide` names channels for; gives how many were queued.

    Alerts that another process decides about just now are left to it.
    """
    waiting = (
        sa.select(monitoring_alerts)
        .where(_ALERT.status == "active", _ALERT.raised > _ALERT.told)
        .order_by(_ALERT.id)
        .with_for_update(skip_locked=True)
    )
    queued = 0
    with warehouse.engine.begin() as connection:
        for row in connection.execute(waiting).mappings().all():
            alert = RaisedAlert(**row)
            channels = decide(alert, _told(connection, alert, now))
            rows = [
                {
                    "alert_id": alert.id, "channel": channel, "up_to": alert.raised,
                    "held_back": alert.held_back, "queued_at": now, "next_attempt_at": now,
                }
                for channel in channels
            ]  # fmt: skip
            if rows:
                connection.execute(sa.insert(alert_deliveries), rows)
                update = sa.update(monitoring_alerts).where(_ALERT.id == alert.id)
                connection.execute(update.values(told=_ALERT.raised, told_at=now))
                queued += len(rows)
    return queued


def _told(connection: sa.Connection, alert: RaisedAlert, now: dt.datetime) -> list[dt.datetime]:
    """Moments of the notices of an alert's subject, kind and severity in the last hour."""
    query = (
        sa.select(_OF.queued_at)
        .distinct()
        .join(monitoring_alerts, _ALERT.id == _OF.alert_id)
        .where(*(_ALERT[name] == getattr(alert, name) for name in _SAME))
        .where(_OF.queued_at > now - dt.timedelta(hours=1))
    )
    return list(connection.scalars(query))


class Claim:
    """A notice that nobody else sends meanwhile."""

    def __init__(self, connection: sa.Connection, delivery: Delivery, alert: RaisedAlert) -> None:
        self._connection = connection
        self.delivery = delivery
        self.alert = alert

    def sent(self, now: dt.datetime) -> None:
        """It was taken."""
        self._set(sent_at=now, error=None)

    def failed(self, error: str, again_at: dt.datetime) -> None:
        """It was not; it is to be tried again."""
        self._set(error=error, next_attempt_at=again_at)

    def _set(self, **values: object) -> None:
        mine = sa.update(alert_deliveries).where(_OF.id == self.delivery.id)
        self._connection.execute(mine.values(attempts=_OF.attempts + 1, **values))


@contextmanager
def claim(warehouse: Warehouse, channels: Collection[str], now: dt.datetime) -> Iterator[Claim | None]:
    """Claim the oldest notice that is due on one of the channels; None where there is none.

    The claim ends with the block, or with the process: what was sent and not recorded is sent again.
    """
    due = (
        sa.select(alert_deliveries)
        .join(monitoring_alerts, _ALERT.id == _OF.alert_id)
        .where(*_unsent(), _OF.channel.in_(channels))
        # Further off than any pause: the clock was set back since.
        .where((_OF.next_attempt_at <= now) | (_OF.next_attempt_at > now + LONGEST_PAUSE))
        .order_by(_OF.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=alert_deliveries)
    )
    with warehouse.engine.begin() as connection:
        row = connection.execute(due).mappings().one_or_none()
        if row is None:
            yield None
            return
        alert = sa.select(monitoring_alerts).where(_ALERT.id == row["alert_id"])
        raised = RaisedAlert(**connection.execute(alert).mappings().one())
        yield Claim(connection, Delivery(**row), raised)


def unsent(warehouse: Warehouse) -> list[Delivery]:
    """Notices of active alerts that were not sent yet, the oldest first."""
    query = sa.select(alert_deliveries).join(monitoring_alerts, _ALERT.id == _OF.alert_id)
    return _deliveries(warehouse, query.where(*_unsent()))


def deliveries_of(warehouse: Warehouse, alert: int) -> list[Delivery]:
    """All notices of an alert, the oldest first."""
    return _deliveries(warehouse, sa.select(alert_deliveries).where(_OF.alert_id == alert))


def _unsent() -> tuple[sa.ColumnElement[bool], ...]:
    """Of an acknowledged alert nobody needs to be told any more."""
    return (_OF.sent_at.is_(None), _ALERT.status == "active")


def _deliveries(warehouse: Warehouse, query: sa.Select) -> list[Delivery]:
    with warehouse.engine.connect() as connection:
        return [Delivery(**row) for row in connection.execute(query.order_by(_OF.id)).mappings()]
