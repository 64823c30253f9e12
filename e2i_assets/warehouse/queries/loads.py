"""Loads: the newest one of each partition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from e2i_assets.warehouse.records import load_batches

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class NewestLoad:
    """The last committed load that touched a partition; `committed_at` has a time zone."""

    load_id: int
    committed_at: datetime


def newest_loads(warehouse: Warehouse) -> dict[str, NewestLoad]:
    """Brand and indication, as loads spell them (`PartitionKey.touched`), to the newest load of each.

    Raises:
        WarehouseUnavailable: the database cannot be reached.
    """
    of = load_batches.c
    touched = sa.func.jsonb_array_elements_text(of.partitions).label("touched")
    loads = sa.select(touched, of.load_id, of.committed_at).subquery().c
    newest = (
        sa.select(loads.touched, loads.load_id, loads.committed_at)
        .distinct(loads.touched)
        .order_by(loads.touched, loads.load_id.desc())
    )
    with warehouse.reading() as connection:
        return {row[0]: NewestLoad(row[1], row[2]) for row in connection.execute(newest)}
