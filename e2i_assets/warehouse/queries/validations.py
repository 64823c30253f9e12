"""Versions that were validated on patients of other partitions and databases."""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from e2i_assets.warehouse.queries.publications import storable
from e2i_assets.warehouse.registry_records import external_validations

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class ValidatedElsewhere:
    """One validation of a version; `database` is empty for this one."""

    partition: str
    database: str
    patients: int
    metric: str
    value: float | None
    low: float | None
    high: float | None
    account: str
    validated_at: dt.datetime


def record_external_validation(warehouse: Warehouse, row: Mapping[str, Any]) -> None:
    """Write down a validation; who asked for it and when is added."""
    stored = {**row, "details": storable(row["details"]), "account": getpass.getuser()}
    warehouse.record(external_validations, [stored])


def external_validations_of(warehouse: Warehouse, model: str, version: int) -> list[ValidatedElsewhere]:
    """Those of a version, the newest first."""
    of = external_validations.c
    query = (
        sa.select(*(of[name] for name in ValidatedElsewhere.__dataclass_fields__))
        .where(of.model_name == model, of.model_version == version)
        .order_by(of.id.desc())
    )
    with warehouse.engine.connect() as connection:
        return [ValidatedElsewhere(*row) for row in connection.execute(query)]
