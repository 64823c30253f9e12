"""How domain results look in Dagit: schemas, tables, charts. Counts and figures, never a patient's row."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import polars as pl

from e2i_assets.contracts.base import Column, columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.features.feature_set import Feature


def image(png: bytes) -> dg.MetadataValue:
    """A picture, kept small because Dagster stores it in its event log."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue:
    """A table of plain figures; `none` when it has no rows."""
    records = [dg.TableRecord({k: _cell(v) for k, v in row.items()}) for row in rows]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("none")


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, float):
        return round(value, 4)
    return value if isinstance(value, str | int | bool) else ("" if value is None else str(value))


def raw_schema(name: str, frame: pl.DataFrame) -> dg.TableSchema:
    """Schema of an extract: what the contract says, and the clinical attributes beyond it."""
    described = {c.name: c for c in columns(TABLES[name])}
    return dg.TableSchema(
        [
            _contract_column(described[column], str(dtype))
            if column in described
            else dg.TableColumn(column, str(dtype), "Clinical attribute of this programme")
            for column, dtype in frame.schema.items()
        ]
    )


def _contract_column(c: Column, dtype: str) -> dg.TableColumn:
    limits = [f"{word} {bound:g}" for word, bound in (("≥", c.low), ("≤", c.high)) if bound is not None]
    return dg.TableColumn(
        c.name,
        dtype,
        f"{c.meaning}. Role {c.role}, known at {c.available_at}.",
        constraints=dg.TableColumnConstraints(nullable=c.nullable, unique=c.unique, other=limits),
    )


def contract_schema(name: str) -> dg.TableSchema:
    """Schema of a table as its contract states it, for the asset's definition."""
    return dg.TableSchema([_contract_column(c, str(c.dtype)) for c in columns(TABLES[name])])


def feature_schema(features: Iterable[Feature]) -> dg.TableSchema:
    """Schema of a feature set."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                f.name, f.kind, f"{f.description}{f' ({f.unit})' if f.unit else ''}. From {f.source}."
            )
            for f in features
        ]
    )
