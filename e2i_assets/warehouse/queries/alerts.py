"""Alerts: raised, found and acknowledged."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.monitoring.alerts.alert import AGGREGATION, Alert, RaisedAlert
from e2i_assets.warehouse.alert_records import monitoring_alerts

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

_OF = monitoring_alerts.c
_KEY = ("subject", "kind", "severity")


def raise_alert(warehouse: Warehouse, alert: Alert, *, now: dt.datetime | None = None) -> RaisedAlert:
    """Record what deserves a person's attention, at most once for what is known already.

    An equal one (subject, kind, severity) that is active is counted up, and so is an acknowledged one that
    was last raised at most an hour ago: whoever took it on knows. One statement, so that of many who raise
    the same at once none is lost and none makes a second row.

    Args:
        now: with time zone; the database's clock when left out.

    Returns:
        the alert as it is recorded; `raised` is 1 where it is new.
    """
    with warehouse.engine.begin() as connection:
        return raise_in(connection, alert, now=now)


def raise_in(connection: sa.Connection, alert: Alert, *, now: dt.datetime | None = None) -> RaisedAlert:
    """`raise_alert` in the caller's transaction: what it tells of is kept with it, or neither is."""
    moment = sa.literal(now, sa.TIMESTAMP(timezone=True)) if now else sa.func.clock_timestamp()
    values = {one.name: getattr(alert, one.name) for one in fields(Alert)}
    again = {name: values[name] for name in values if name not in _KEY}
    same = sa.and_(*(_OF[name] == values[name] for name in _KEY))
    newest = sa.select(sa.func.max(_OF.id)).where(same).scalar_subquery()
    acknowledged = (
        sa.update(monitoring_alerts)
        .where(_OF.id == newest, _OF.status == "acknowledged", _OF.last_at >= moment - AGGREGATION)
        .values(**again, raised=_OF.raised + 1, last_at=sa.func.greatest(_OF.last_at, moment))
        .returning(monitoring_alerts)
        .cte("acknowledged")
    )
    row = {**values, "first_at": moment, "last_at": moment}
    source = sa.select(
        *(sa.literal(value, _OF[name].type) if name in values else value for name, value in row.items())
    ).where(~sa.exists(sa.select(acknowledged.c.id)))
    new = insert(monitoring_alerts).from_select(list(row), source)
    active = (
        new.on_conflict_do_update(
            index_elements=list(_KEY),
            index_where=sa.text("status = 'active'"),
            set_={
                **{name: new.excluded[name] for name in again},
                "raised": _OF.raised + 1,
                "last_at": sa.func.greatest(_OF.last_at, new.excluded.last_at),
            },
        )
        .returning(monitoring_alerts)
        .cte("active")
    )
    both = sa.union_all(sa.select(acknowledged), sa.select(active))
    return RaisedAlert(**connection.execute(both).mappings().one())


def alerts(warehouse: Warehouse, *, status: str | None = None, limit: int = 100) -> list[RaisedAlert]:
    """The alerts that were raised last, the newest first.

    Args:
        status: `active` or `acknowledged`; all when left out.
    """
    query = sa.select(monitoring_alerts).order_by(_OF.last_at.desc(), _OF.id.desc()).limit(limit)
    query = query if status is None else query.where(_OF.status == status)
    with warehouse.engine.connect() as connection:
        return [RaisedAlert(**row) for row in connection.execute(query).mappings()]


def alert_of(warehouse: Warehouse, number: int) -> RaisedAlert | None:
    """An alert by its number; None where there is none."""
    with warehouse.engine.connect() as connection:
        query = sa.select(monitoring_alerts).where(_OF.id == number)
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else RaisedAlert(**row)


def acknowledge(
    warehouse: Warehouse, number: int, *, by: str, note: str | None, now: dt.datetime | None = None
) -> RaisedAlert | None:
    """Take an active alert on; None where it is not active, or not there."""
    taken = (
        sa.update(monitoring_alerts)
        .where(_OF.id == number, _OF.status == "active")
        .values(
            status="acknowledged",
            acknowledged_by=by,
            acknowledged_at=now or sa.func.clock_timestamp(),
            note=note,
        )
        .returning(monitoring_alerts)
    )
    with warehouse.engine.begin() as connection:
        row = connection.execute(taken).mappings().one_or_none()
        return None if row is None else RaisedAlert(**row)
