"""Registered versions, the ledger of their stages, and the evidence of shadows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import sqlalchemy as sa

from e2i_assets.registry.errors import LostRace
from e2i_assets.registry.evidence import ShadowEvidence
from e2i_assets.registry.ledger import Entry, Model, Version
from e2i_assets.warehouse.registry_records import model_registry, model_stage_history, shadow_evidence

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

LOCK = 0x0E22
"""Advisory lock of whoever changes the registry, here or in MLflow."""


@dataclass(frozen=True)
class ServedVersion:
    """A version that a service loads.

    Attributes:
        role: `active` answers, `shadow` is scored beside it.
    """

    version: Version
    stage: str
    role: str


class Registry:
    """The registry in one transaction; who talks to MLflow in it holds the lock (`registry`)."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def now(self) -> dt.datetime:
        """The database's clock: one for all machines."""
        return _clock(self._connection)

    def model(self, name: str) -> Model:
        """A model's versions and ledger; without any where it is not known."""
        return _model(self._connection, name)

    def add(self, version: Version) -> None:
        """Register a version."""
        self._connection.execute(sa.insert(model_registry).values(asdict(version)))

    def append(self, entry: Entry) -> None:
        """Add to a ledger.

        Raises:
            LostRace: somebody else wrote the entry of this number.
        """
        try:
            with self._connection.begin_nested():
                self._connection.execute(sa.insert(model_stage_history).values(asdict(entry)))
        except sa.exc.IntegrityError as error:
            ledger = self.model(entry.model_name).entries
            other = next((written for written in ledger if written.sequence == entry.sequence), None)
            if other is None:
                raise
            raise LostRace(
                f"{other.actor} was first: {other.model_name} version {other.version} "
                f"{'was asked for' if other.event == 'requested' else 'went to'} {other.to_stage} at "
                f"{other.at:%Y-%m-%d %H:%M:%S} UTC, while you decided on what was so before"
            ) from error


@contextmanager
def registry(warehouse: Warehouse) -> Iterator[Registry]:
    """The registry for somebody who changes it: one at a time, all or nothing."""
    with warehouse.engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        yield Registry(connection)


def clock(warehouse: Warehouse) -> dt.datetime:
    """The database's clock."""
    with warehouse.engine.connect() as connection:
        return _clock(connection)


def model_of(warehouse: Warehouse, name: str) -> Model:
    """A model's versions and ledger; without any where it is not known."""
    with warehouse.engine.connect() as connection:
        return _model(connection, name)


def models(warehouse: Warehouse) -> list[Model]:
    """Every model, by name."""
    with warehouse.engine.connect() as connection:
        versions, entries = _versions(connection), _entries(connection)
    return [
        Model(name, list(of), [entry for entry in entries if entry.model_name == name])
        for name, of in groupby(versions, key=lambda version: version.model_name)
    ]


def served_versions(warehouse: Warehouse) -> list[ServedVersion]:
    """What services are to load, by model name: what answers, and what is scored beside it."""
    return [
        ServedVersion(version, model.stages()[version.version], role)
        for model in models(warehouse)
        for version, role in model.served()
    ]


def shadow_evidence_of(
    warehouse: Warehouse, model_name: str, version: int, since: dt.datetime
) -> ShadowEvidence:
    """What a version showed in shadow from a moment on; the minute of the moment counts."""
    of = shadow_evidence.c
    seen = (
        sa.select(
            shadow_evidence,
            sa.func.sum(of.requests).over(order_by=of.latency_p99_ms.nulls_first()).label("up_to"),
        )
        .where(
            of.model_name == model_name,
            of.version == version,
            of.minute >= sa.func.date_trunc("minute", sa.literal(since)),
        )
        .subquery()
    )
    total = sa.select(sa.func.sum(seen.c.requests)).scalar_subquery()
    answered = seen.c.requests - seen.c.errors
    compared = sa.func.sum(answered).filter(seen.c.mean_difference.is_not(None))
    query = sa.select(
        sa.func.min(seen.c.minute),
        sa.func.max(seen.c.minute),
        sa.func.count(sa.distinct(sa.func.date_trunc("day", sa.func.timezone("UTC", seen.c.minute)))),
        sa.func.coalesce(sa.func.sum(seen.c.requests), 0),
        sa.func.coalesce(sa.func.sum(seen.c.errors), 0),
        sa.func.min(seen.c.latency_p99_ms).filter(seen.c.up_to >= 0.99 * total),
        sa.func.sum(answered * seen.c.mean_difference) / sa.func.nullif(compared, 0),
    )
    with warehouse.engine.connect() as connection:
        return ShadowEvidence(*connection.execute(query).one())


def _clock(connection: sa.Connection) -> dt.datetime:
    now: dt.datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now


def _model(connection: sa.Connection, name: str) -> Model:
    return Model(
        name,
        _versions(connection, model_registry.c.model_name == name),
        _entries(connection, model_stage_history.c.model_name == name),
    )


def _versions(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[Version]:
    rows = sa.select(model_registry).where(*conditions)
    ordered = rows.order_by(model_registry.c.model_name, model_registry.c.version)
    return [Version(**row) for row in connection.execute(ordered).mappings()]


def _entries(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[Entry]:
    rows = sa.select(model_stage_history).where(*conditions)
    ordered = rows.order_by(model_stage_history.c.model_name, model_stage_history.c.sequence)
    return [Entry(**row) for row in connection.execute(ordered).mappings()]
