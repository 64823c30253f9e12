"""Which split each patient of a partition has, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from e2i_assets.modeling.errors import SplitError
from e2i_assets.warehouse.records import split_assignments

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


def assignments(warehouse: Warehouse, partition: str) -> pd.DataFrame:
    """Every patient who was ever assigned, as `patient_id` and `split`."""
    stored = split_assignments.c
    query = sa.select(stored.patient_id, stored.split).where(stored.partition == partition)
    with warehouse.engine.connect() as connection:
        rows = connection.execute(query).all()
    return pd.DataFrame([tuple(row) for row in rows], columns=["patient_id", "split"])


def record_assignments(warehouse: Warehouse, partition: str, new: pd.DataFrame) -> None:
    """Write down new patients' splits (`patient_id`, `split`), all or none; they hold from here on.

    Raises:
        SplitError: another run has assigned one of these patients meanwhile.
    """
    rows = [
        {"partition": partition, "patient_id": patient, "split": split}
        for patient, split in zip(new["patient_id"], new["split"], strict=True)
    ]
    try:
        warehouse.record(split_assignments, rows)
    except sa.exc.IntegrityError:
        # Without the database's message, which names patients.
        raise SplitError(
            f"another run has assigned patients of {partition} meanwhile.",
            "Materialize splits again: it starts from what that run assigned.",
            code="assigned_meanwhile",
        ) from None


def patients_in(warehouse: Warehouse, partition: str, split: str) -> int:
    """How many patients of a partition have a split."""
    of = split_assignments.c
    query = sa.select(sa.func.count()).where(of.partition == partition, of.split == split)
    with warehouse.engine.connect() as connection:
        return int(connection.scalar(query) or 0)
