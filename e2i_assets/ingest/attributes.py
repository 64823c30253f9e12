"""Clinical attributes: one JSON object per journey in the warehouse, one typed column each in an extract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from e2i_assets.contracts.variables import INDEX, OUTCOME, Attribute
from e2i_assets.errors import E2IError
from e2i_assets.ingest.casting import cast, too_long
from e2i_assets.ingest.mapping import AttributeMapping, ColumnMapping, Reading

COLUMN = "clinical_attributes"
AS_IT_IS = ColumnMapping.model_validate("x")
"""A column that is filled with what is there."""
DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "date": pl.Date(),
}


class AttributeMismatch(E2IError, ValueError):
    """An attribute's values are not of its declared type; the message names both, never a value."""

    code = "attribute_mismatch"
    next_step = "Correct the source, or the attribute in the cohort file."


def expand(journeys: pl.DataFrame, declared: Mapping[str, Attribute]) -> pl.DataFrame:
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
        return by_spelling(values)
    if values.dtype == pl.Boolean and dtype in {"integer", "number"}:
        raise AttributeMismatch(f"clinical attribute {values.name}: declared {dtype}, holds true and false")
    if dtype == "string":
        return values.cast(pl.String)
    done = cast(values, DTYPES[dtype], AS_IT_IS, Reading())
    if done.bad.any():
        raise AttributeMismatch(
            f"clinical attribute {values.name}: {done.bad.sum()} values are not of its declared type {dtype} "
            f"({done.rule})"
        )
    return done.values


def by_spelling(values: pl.Series) -> pl.Series:
    """Text as whole numbers, numbers or truth values, where that gives back every value as it is written."""
    if values.dtype == pl.Null:
        return values.cast(pl.String)
    if values.dtype != pl.String:
        return values
    for dtype in (pl.Int64, pl.Float64):
        numbers = values.cast(dtype, strict=False)
        if (numbers.cast(pl.String).eq_missing(values) & (numbers.is_finite() | numbers.is_null())).all():
            return numbers
    truths = values.replace_strict(["true", "false"], [True, False], default=None, return_dtype=pl.Boolean)
    return truths if truths.null_count() == values.null_count() else values


def contradiction(name: str, stated: AttributeMapping, declared: Attribute | None) -> str | None:
    """What a mapping says of an attribute against what a cohort file declares; None where they agree.

    An attribute that no cohort file declares is carried and never used, so a mapping that gives it a use
    must find it declared.
    """
    if declared is None:
        if stated.role == "feature" and stated.available_at in (INDEX, None):
            return None
        wanted = f"{{dtype: …, role: {stated.role}, available_at: {stated.available_at or OUTCOME}}}"
        return f"is not declared, and would not be used; add `{name}: {wanted}` to its attributes"
    for key, theirs, ours in (
        ("role", stated.role, declared.role),
        ("available_at", stated.available_at, declared.available_at),
    ):
        if key in stated.model_fields_set and theirs != ours:
            declared_as = ours or "left out"
            return f"is declared with {key} {declared_as}, and here with {theirs}; one of them is wrong"
    return stated.unit_problem(declared.unit)


class Held(NamedTuple):
    """One JSON object per row, and the cells that no JSON holds unchanged: name, which rows, and why."""

    documents: pl.Series
    bad: list[tuple[str, pl.Series, str]]


def collect(
    rows: pl.DataFrame, mapped: Mapping[str, ColumnMapping], carried: Mapping[str, str], reading: Reading
) -> Held:
    """The inverse of `expand`: attributes of a mapping, and source columns carried along, as JSON objects.

    Args:
        mapped: attribute (a column of `rows`) to how it is filled.
        carried: column of `rows` to the attribute's name.
    """
    columns, bad = [], []
    for name, how in mapped.items():
        values = rows.get_column(name)
        if how.values is not None or how.factor is not None:
            done = cast(values, _dtype_of(how), how, reading)
            bad.append((name, done.bad, done.rule))
            values = done.values
        columns.append(values.alias(name))
    columns += [rows.get_column(column).alias(name) for column, name in carried.items()]
    encoded = [_jsonable(values) for values in columns]
    bad += [(values.name, broken, rule) for values, broken, rule in encoded]
    frame = pl.DataFrame([values for values, _, _ in encoded])
    return Held(frame.select(pl.struct(pl.all()).struct.json_encode().alias(COLUMN)).get_column(COLUMN), bad)


def _dtype_of(how: ColumnMapping) -> pl.DataType:
    """Type of an attribute that a value map or a unit factor makes."""
    if how.values is None:
        return pl.Float64()
    spellings = {value for value in how.values.values() if value is not None}
    if spellings <= {"true", "false"}:
        return pl.Boolean()
    return pl.Int64() if all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", v) for v in spellings) else pl.String()


def _jsonable(values: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    fine = pl.repeat(False, len(values), eager=True)
    if values.dtype.is_float():
        broken = (~values.is_finite()).fill_null(value=False)
        return values, broken, "must be a finite number (`read: {nulls: [NaN]}` makes NaN empty)"
    if values.dtype.is_decimal():
        return values.cast(pl.Float64), too_long(values), "has more digits than a number holds (`x::VARCHAR`)"
    if values.dtype.is_integer():
        exact = values.cast(pl.Int64, strict=False)
        return exact, exact.is_null() & values.is_not_null(), "must be a whole number of 64 bits"
    if isinstance(values.dtype, pl.Datetime | pl.Time):
        return values.dt.to_string("iso:strict"), fine, ""
    if values.dtype == pl.String:
        nul = values.str.contains("\0", literal=True).fill_null(value=False)
        return values, nul, "must not hold a NUL character"
    if values.dtype in (pl.Boolean, pl.Date, pl.Null):
        return values, fine, ""
    return (
        pl.Series(values.name, [None] * len(values), dtype=pl.String),
        values.is_not_null(),
        f"cannot be carried, it is {values.dtype}; put it under `leave_out`",
    )
