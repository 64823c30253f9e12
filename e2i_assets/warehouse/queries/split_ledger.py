"""The ledger of sealed splits: who opened which one for which model, and what was learnt.

Rows only; what may be opened is the vault's to say (`resources/vault.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from e2i_assets.warehouse.deployment_records import bentoml_services
from e2i_assets.warehouse.records import split_access, split_attempts, training_runs

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class OpeningRequest:
    """A sealed split of a partition that somebody wants to open for a model."""

    partition: str
    split: str
    model_fingerprint: str
    purpose: str
    run_id: str
    opened_by: str


@dataclass(frozen=True)
class Opening:
    """The one opening of a split for a model that there is.

    Attributes:
        new: made by this request, not found.
        purpose: that of whoever made it.
        finished: it has a result.
    """

    id: int
    new: bool
    purpose: str
    finished: bool


class SplitLedger:
    """The ledger in one transaction at a time; see `split_ledger`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def is_trained(self, request: OpeningRequest) -> bool:
        """Whether the model is on record as trained for the partition."""
        trained = training_runs.c
        return self._exists(
            trained.partition == request.partition, trained.model_fingerprint == request.model_fingerprint
        )

    def is_deployed(self, request: OpeningRequest) -> bool:
        """Whether the release of a service that answers requests has the model, not as a shadow."""
        served = bentoml_services.c
        member = {
            "partition": request.partition,
            "model_fingerprint": request.model_fingerprint,
            "role": "active",
        }
        return self._exists(served.status == "active", served.members.contains([member]))

    def claim(self, request: OpeningRequest) -> Opening:
        """Commit the one opening there is; where it was made already, wait for whoever is at it.

        The opening stays locked until `finish`, or until the ledger is closed.
        """
        new = self._connection.scalar(
            insert(split_access).values(asdict(request)).on_conflict_do_nothing().returning(split_access.c.id)
        )
        self._connection.commit()
        opening = split_access.c
        row = self._connection.execute(
            sa.select(opening.id, opening.purpose, opening.result_version)
            .where(
                opening.partition == request.partition,
                opening.split == request.split,
                opening.model_fingerprint == request.model_fingerprint,
            )
            .with_for_update()
        ).one()
        return Opening(row.id, new is not None, row.purpose, row.result_version is not None)

    def finish(self, opening: Opening, result: str, version: str) -> None:
        """Commit what was learnt (JSON, and a hash of it); the opening is unlocked."""
        self._connection.execute(
            sa.update(split_access)
            .where(split_access.c.id == opening.id)
            .values(result=result, result_version=version)
        )
        self._connection.commit()

    def _exists(self, *conditions: sa.ColumnElement[bool]) -> bool:
        return bool(self._connection.scalar(sa.select(sa.exists().where(*conditions))))


@contextmanager
def split_ledger(warehouse: Warehouse) -> Iterator[SplitLedger]:
    """The ledger, on a connection of its own."""
    with warehouse.engine.connect() as connection:
        yield SplitLedger(connection)


def record_attempt(warehouse: Warehouse, request: OpeningRequest, outcome: str) -> None:
    """Write down an attempt; `outcome` is opened, resumed, or the kind of refusal."""
    warehouse.record(split_attempts, [{**asdict(request), "outcome": outcome}])


def stored_result(warehouse: Warehouse, partition: str, split: str, model_fingerprint: str) -> str | None:
    """What was learnt (JSON) when the split was opened for a model; None when nothing has been."""
    opening = split_access.c
    query = sa.select(opening.result).where(
        opening.partition == partition,
        opening.split == split,
        opening.model_fingerprint == model_fingerprint,
    )
    with warehouse.engine.connect() as connection:
        return connection.scalar(query)
