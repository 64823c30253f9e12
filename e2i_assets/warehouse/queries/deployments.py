"""Releases that services are asked for, incidents, and changes that were asked of the operations API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from e2i_assets.monitoring.alerts.incidents import alert_of_incident
from e2i_assets.warehouse.deployment_records import api_audit, bentoml_services, incidents
from e2i_assets.warehouse.queries.alerts import raise_in
from e2i_assets.warehouse.queries.registry import Registry

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

RECONCILER = 0x0E24
"""Advisory lock that the reconciler of a database holds while it runs."""
BEGUN = "begun"
"""Outcome of a change of which nobody knows yet how it ends, or ever will: whoever did it was killed."""
_OF = bentoml_services.c


@dataclass(frozen=True)
class Release:
    """A release that a service was asked for.

    Attributes:
        release: hash of its members.
        members: the model versions, as plain JSON types.
        status: see `deployment_records.STATUSES`.
        cause: `deploy`, `rollback` or `automatic_rollback`.
        reason: why it was asked for, or failed.
        answered_at, ended_at: when it took over, and when another did.
    """

    id: int
    service_name: str
    release: str
    members: list[dict[str, Any]]
    status: str
    cause: str
    asked_by: str
    run_id: str | None
    reason: str | None
    created_at: dt.datetime
    answered_at: dt.datetime | None
    ended_at: dt.datetime | None


@dataclass(frozen=True)
class Incident:
    """What went wrong with a service, and what was done about it."""

    service_name: str
    release: str | None
    kind: str
    reason: str
    action: str
    occurred_at: dt.datetime | None = None


@dataclass(frozen=True)
class State:
    """A service as the records have it; see `Releases.state`."""

    wanted: Release | None
    active: Release | None
    previous: Release | None


class Releases:
    """The releases of one service in one transaction, which nobody else changes meanwhile."""

    def __init__(self, connection: sa.Connection, service: str) -> None:
        self._connection = connection
        self.service = service
        self.ledger = Registry(connection)
        """The registry in the same transaction: a rollback is in both, or in none."""

    def history(self) -> list[Release]:
        """All of them, in the order in which they were asked for."""
        query = sa.select(bentoml_services).where(_OF.service_name == self.service).order_by(_OF.id)
        return [Release(**row) for row in self._connection.execute(query).mappings()]

    def state(self) -> State:
        """What is to be brought up, what answers, and what is gone back to.

        The release before is the newest other one that answered and was neither rolled back nor failed since.
        """
        history = self.history()
        newest = {one.status: one for one in history}
        wanted, active = newest.get("wanted"), newest.get("active")
        now = wanted or active
        last = {one.release: one for one in history if one.status not in ("superseded", "wanted")}
        answered = [one for one in last.values() if one.status in ("active", "replaced")]
        before = [one for one in answered if now and one.release != now.release]
        previous = max(before, key=lambda one: one.id, default=None)
        if wanted and active and active.release != wanted.release:
            previous = active
        return State(wanted, active, previous)

    def ask(
        self,
        release: str,
        members: list[dict[str, Any]],
        *,
        cause: str,
        asked_by: str,
        run_id: str | None = None,
        reason: str | None = None,
    ) -> Release:
        """Want a release; gives its row. One that is wanted or answers already is not asked for again."""
        state = self.state()
        if state.wanted:
            if state.wanted.release == release:
                return state.wanted
            self._end(state.wanted.id, "superseded")
        if state.active and state.active.release == release:
            return state.active
        row = {
            "service_name": self.service, "release": release, "members": members, "status": "wanted",
            "cause": cause, "asked_by": asked_by, "run_id": run_id, "reason": reason,
        }  # fmt: skip
        asked = sa.insert(bentoml_services).values(row).returning(bentoml_services)
        return Release(**self._connection.execute(asked).mappings().one())

    def want_nothing(self, reason: str) -> None:
        """Have the service stop: what is wanted is given up, and what answers ends."""
        state = self.state()
        for release, status in ((state.wanted, "superseded"), (state.active, "replaced")):
            if release:
                self._end(release.id, status, reason)

    def confirm(self, release: str) -> None:
        """The wanted release answers now, in the place of another."""
        state = self.state()
        if not state.wanted or state.wanted.release != release:
            return
        if state.active:
            back = state.wanted.cause != "deploy"
            self._end(state.active.id, "rolled_back" if back else "replaced")
        answers = {"status": "active", "answered_at": sa.func.clock_timestamp()}
        self._connection.execute(sa.update(bentoml_services).where(_OF.id == state.wanted.id).values(answers))

    def give_up(self, release: str, reason: str) -> None:
        """The wanted release never came to answer."""
        state = self.state()
        if state.wanted and state.wanted.release == release:
            self._end(state.wanted.id, "failed", reason)

    def incident(self, release: str | None, kind: str, reason: str, action: str) -> None:
        """Leave a row of what went wrong, and an alert."""
        row = {
            "service_name": self.service, "release": release, "kind": kind, "reason": reason,
            "action": action,
        }  # fmt: skip
        self._connection.execute(sa.insert(incidents).values(row))
        raise_in(self._connection, alert_of_incident(self.service, release, kind, reason, action))

    def _end(self, number: int, status: str, reason: str | None = None) -> None:
        ended: dict[str, Any] = {"status": status, "ended_at": sa.func.clock_timestamp()}
        ended |= {"reason": reason} if reason else {}
        self._connection.execute(sa.update(bentoml_services).where(_OF.id == number).values(ended))


@contextmanager
def releases(warehouse: Warehouse, service: str) -> Iterator[Releases]:
    """The releases of a service for somebody who reads or changes them: one at a time, all or nothing."""
    with warehouse.engine.begin() as connection:
        lock = sa.func.pg_advisory_xact_lock(RECONCILER, sa.func.hashtext(service))
        connection.execute(sa.select(lock))
        yield Releases(connection, service)


def history(warehouse: Warehouse, service: str | None = None) -> list[Release]:
    """Releases of a service, or of all, the newest first."""
    query = sa.select(bentoml_services).order_by(_OF.id.desc())
    query = query if service is None else query.where(_OF.service_name == service)
    with warehouse.engine.connect() as connection:
        return [Release(**row) for row in connection.execute(query).mappings()]


def release_row(warehouse: Warehouse, number: int) -> Release:
    """One wish for a release, and what became of it."""
    with warehouse.engine.connect() as connection:
        query = sa.select(bentoml_services).where(_OF.id == number)
        return Release(**connection.execute(query).mappings().one())


def incidents_of(warehouse: Warehouse, limit: int) -> list[Incident]:
    """The newest incidents, the newest first."""
    query = sa.select(*(incidents.c[name] for name in Incident.__dataclass_fields__))
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query.order_by(incidents.c.id.desc()).limit(limit)).mappings()
        return [Incident(**row) for row in rows]


def record_change(
    warehouse: Warehouse, action: str, request: Mapping[str, Any], caller: str, outcome: str
) -> int:
    """Write down a change that was asked of the operations API; gives the number of its row."""
    row = {"action": action, "request": dict(request), "caller": caller, "outcome": outcome}
    with warehouse.engine.begin() as connection:
        asked = sa.insert(api_audit).values(row).returning(api_audit.c.id)
        return int(connection.execute(asked).scalar_one())


def end_change(warehouse: Warehouse, number: int, outcome: str) -> None:
    """Write down how a change that had begun ended."""
    begun = sa.update(api_audit).where(api_audit.c.id == number, api_audit.c.outcome == BEGUN)
    with warehouse.engine.begin() as connection:
        connection.execute(begun.values(outcome=outcome))


@contextmanager
def reconciling(warehouse: Warehouse) -> Iterator[sa.Connection | None]:
    """Be the one reconciler of the database within the block; None where another one is.

    The lock is gone with the connection, so a reconciler that was killed holds nobody up.
    """
    with warehouse.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        taken = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(RECONCILER)))
        try:
            yield connection if taken else None
        finally:
            connection.invalidate()  # given back to the pool, it would keep the lock


def is_reconciled(warehouse: Warehouse) -> bool:
    """Whether a reconciler runs for the database."""
    query = sa.text(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 "
        "AND objid = :lock AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    with warehouse.engine.connect() as connection:
        return bool(connection.scalar(query, {"lock": RECONCILER}))
