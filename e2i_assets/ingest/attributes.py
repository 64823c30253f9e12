"""Clinical attributes: one JSON object per journey in the warehouse, one typed column each in an extract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import polars as pl

COLUMN = "clinical_attributes"
DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "date": pl.Date(),
}


class AttributeLike(Protocol):
    """A declared attribute."""

    @property
    def dtype(self) -> str:
        """A key of `DTYPES`."""


class AttributeMismatch(ValueError):
    """An attribute's values are not of its declared type; the message names both, never a value."""


def expand(journeys: pl.DataFrame, declared: Mapping[str, AttributeLike]) -> pl.DataFrame:
    """Replace the JSON column by one column per attribute, declared ones first, in a stable order.

    An attribute that no journey has is not made up: its column is absent, and whoever needs it says so.

    Raises:
        AttributeMismatch: values that are not of the declared type, or a name that is a contract column.
    """
    documents = journeys.get_column(COLUMN)
    rest = journeys.drop(COLUMN)
    if documents.is_null().all():
        return rest
    parsed = documents.str.json_decode(infer_schema_length=None).struct.unnest()
    clash = sorted(set(parsed.columns) & set(rest.columns))
    if clash:
        raise AttributeMismatch(
            f"clinical attributes {', '.join(clash)}: these are columns of patient_journeys"
        )
    names = [n for n in declared if n in parsed.columns] + sorted(set(parsed.columns) - set(declared))
    typed = [_typed(parsed.get_column(n), declared[n].dtype if n in declared else None) for n in names]
    return rest.with_columns(typed)


def _typed(values: pl.Series, dtype: str | None) -> pl.Series:
    if dtype is None:
        return values.cast(pl.String) if values.dtype == pl.Null else values
    if values.dtype == pl.Boolean and dtype in {"integer", "number"}:
        raise AttributeMismatch(f"clinical attribute {values.name}: declared {dtype}, holds true and false")
    cast = values.cast(DTYPES[dtype], strict=False)
    lost = cast.null_count() - values.null_count()
    if dtype == "integer" and values.dtype.is_float():
        lost = int((values != cast.cast(pl.Float64)).sum())
    if lost:
        raise AttributeMismatch(
            f"clinical attribute {values.name}: {lost} values are not of its declared type {dtype}"
        )
    return cast


def fold(frame: pl.DataFrame, names: list[str]) -> pl.Series:
    """The inverse of `expand`: the named columns as one JSON object per row."""
    return frame.select(pl.struct(names).struct.json_encode().alias(COLUMN)).get_column(COLUMN)
