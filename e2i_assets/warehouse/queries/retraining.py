"""Retrainings: asked for, approved by somebody else, carried out, and what came of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.monitoring.alerts.alert import Alert
from e2i_assets.monitoring.retraining import Retraining
from e2i_assets.warehouse.alert_records import retraining_history
from e2i_assets.warehouse.queries.alerts import raise_in

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

_OF = retraining_history.c
OPEN = ("requested", "approved", "running")
CAME_TO_NOTHING = ("level", "worse", "refused", "failed")


@dataclass(frozen=True)
class Wanted:
    """A retraining that is asked for; see `Retraining`."""

    partition: str
    scope: str
    model_name: str
    old_model_version: int
    trigger_type: str
    trigger_reason: str
    requested_by: str
    decision: Mapping[str, Any] = field(default_factory=dict)
    drift_score: float | None = None
    performance_delta: float | None = None


def request_retraining(
    warehouse: Warehouse, wanted: Wanted, *, approval: bool, now: dt.datetime | None = None
) -> Retraining | None:
    """Ask for a retraining; None where one of the same model is open already.

    Args:
        approval: whether it waits for a person, of which an alert tells.
    """
    row = vars(wanted) | {
        "status": "requested" if approval else "approved",
        "triggered_at": now or sa.func.clock_timestamp(),
    }
    one_open = (
        insert(retraining_history)
        .values(row)
        .on_conflict_do_nothing(
            index_elements=["partition", "scope"], index_where=sa.text("completed_at IS NULL")
        )
        .returning(retraining_history)
    )
    with warehouse.engine.begin() as connection:
        made = connection.execute(one_open).mappings().one_or_none()
        if made is None:
            return None
        retraining = Retraining(**made)
        if approval:
            raised = raise_in(connection, _waits(retraining), now=now)
            linked = sa.update(retraining_history).where(_OF.id == retraining.id).values(alert_id=raised.id)
            made = connection.execute(linked.returning(retraining_history)).mappings().one()
        return Retraining(**made)


def _waits(retraining: Retraining) -> Alert:
    return Alert(
        "retraining",
        "medium",
        subject=f"retraining {retraining.id}",
        message=f"{retraining.requested_by} asks to train {retraining.title} again: "
        f"{retraining.trigger_reason}.",
        next_step=f"Somebody else says: e2i retrain approve {retraining.id} --by NAME, or e2i retrain reject",
        partition=retraining.partition,
        scope=retraining.scope,
        model_name=retraining.model_name,
        model_version=retraining.old_model_version,
    )


def answer_request(
    warehouse: Warehouse, number: int, *, approve: bool, by: str, note: str | None = None
) -> Retraining | None:
    """Approve or reject what was asked for; None where it does not wait for that.

    The database refuses an approval by the very one who asked.
    """
    answer = {"approved_by": by, "approved_at": sa.func.clock_timestamp()} if approve else {
        "completed_at": sa.func.clock_timestamp()
    }  # fmt: skip
    remark = note if approve else f"{by}: {note or 'no reason given'}"
    return _moved(
        warehouse, number, ("requested",),
        status="approved" if approve else "rejected", note=remark, **answer,
    )  # fmt: skip


def started(warehouse: Warehouse, number: int, attempts: int, run_id: str) -> Retraining | None:
    """Its run goes."""
    return _moved(
        warehouse, number, ("approved", "running"), status="running", attempts=attempts, run_id=run_id
    )


def ended(
    warehouse: Warehouse, number: int, status: str, alert: Alert, *, now: dt.datetime | None = None, **of: Any
) -> Retraining | None:
    """Write down what came of it, with the alert that tells of it; None where it had ended already.

    Args:
        of: columns of `ml_retraining_history`.
    """
    moment = now or sa.func.clock_timestamp()
    change = _change(number, ("approved", "running"), status=status, completed_at=moment, **of)
    with warehouse.engine.begin() as connection:
        row = connection.execute(change).mappings().one_or_none()
        if row is not None:
            raise_in(connection, alert, now=now)
        return None if row is None else Retraining(**row)


def _moved(warehouse: Warehouse, number: int, before: tuple[str, ...], **values: Any) -> Retraining | None:
    with warehouse.engine.begin() as connection:
        row = connection.execute(_change(number, before, **values)).mappings().one_or_none()
        return None if row is None else Retraining(**row)


def _change(number: int, before: tuple[str, ...], **values: Any) -> sa.Executable:
    of_it = sa.update(retraining_history).where(_OF.id == number, _OF.status.in_(before))
    return of_it.values(values).returning(retraining_history)


def retrainings(
    warehouse: Warehouse,
    *,
    partition: str | None = None,
    scope: str | None = None,
    only_open: bool = False,
    limit: int = 100,
) -> list[Retraining]:
    """The newest retrainings, the newest first."""
    query = sa.select(retraining_history).order_by(_OF.id.desc()).limit(limit)
    query = query if partition is None else query.where(_OF.partition == partition)
    query = query if scope is None else query.where(_OF.scope == scope)
    query = query.where(_OF.status.in_(OPEN)) if only_open else query
    with warehouse.engine.connect() as connection:
        return [Retraining(**row) for row in connection.execute(query).mappings()]


def retraining_of(warehouse: Warehouse, number: int) -> Retraining | None:
    """A retraining by its number; None where there is none."""
    with warehouse.engine.connect() as connection:
        query = sa.select(retraining_history).where(_OF.id == number)
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else Retraining(**row)
