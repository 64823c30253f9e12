"""Loads: the newest one of each partition, and who brought which rows when, from where."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
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


@dataclass(frozen=True)
class LoadBatch:
    """A load on record.

    Attributes:
        files: table to the file or table that it was read from.
        rows, changed, rejected: by table: rows given; inserted, updated or removed; that broke a rule.
        loaded_by: account that began it; None of one before that was recorded.
    """

    load_id: int
    source: str
    files: Mapping[str, str]
    loaded_by: str | None
    started_at: datetime
    committed_at: datetime | None
    rows: Mapping[str, int]
    changed: Mapping[str, int]
    rejected: Mapping[str, int]


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


def loads_of(warehouse: Warehouse, numbers: Collection[int]) -> list[LoadBatch]:
    """The loads of these numbers that are on record, in their order."""
    of = load_batches.c
    query = sa.select(*(of[field.name] for field in fields(LoadBatch))).where(of.load_id.in_(numbers))
    with warehouse.engine.connect() as connection:
        return [LoadBatch(**row) for row in connection.execute(query.order_by(of.load_id)).mappings()]
