"""Layer 1: does a table keep its contract? All failures at once, as column, rule and count; no values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandera.polars as pa
import polars as pl
import polars.selectors as cs
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrorReason

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Attribute, Column
from e2i_assets.quality.relations import judge_rows

MISSING, WRONG_TYPE = "missing_column", "wrong_type"

_REASONS = {
    SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME: MISSING,
    SchemaErrorReason.COLUMN_NOT_IN_SCHEMA: "unexpected_column",
    SchemaErrorReason.WRONG_DATATYPE: WRONG_TYPE,
    SchemaErrorReason.SERIES_CONTAINS_NULLS: "null",
    SchemaErrorReason.SERIES_CONTAINS_DUPLICATES: "duplicate",
}
_CHECKS = {"isin": "allowed", "greater_than_or_equal_to": "low", "less_than_or_equal_to": "high"}

_ATTRIBUTE_TYPES = {
    "integer": cs.integer(),
    "number": cs.numeric(),
    "boolean": cs.boolean(),
    "string": cs.string(include_categorical=True) | cs.enum(),
    "date": cs.date() | cs.datetime(),
}


@dataclass(frozen=True)
class SchemaFailure:
    """One broken rule: `count` is the number of rows concerned, the whole table for a column as such."""

    column: str
    rule: str
    count: int


@dataclass(frozen=True)
class SchemaResult:
    """The verdict on one table."""

    table: str
    ok: bool
    failures: tuple[SchemaFailure, ...]
    rows: int


def check_schema(
    table_name: str,
    frame: pl.DataFrame,
    *,
    extra: Mapping[str, Attribute] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
) -> SchemaResult:
    """Judge one table by its contract; KeyError when no contract has that name.

    Rules: `missing_column`, `unexpected_column`, `wrong_type`, `null`, `duplicate`, `allowed` (closed set),
    `low`, `high`, `not_finite` (NaN or infinity), `all_null` (a declared attribute without any value),
    `check:<name>` (a condition of the table), `too_early` and `after_extract` (days that cannot be),
    `reference`, `patient_of_journey`, `brand_of_partition`.

    Args:
        extra: declared clinical attributes; each must be a column of its declared type.
        tables: the other tables of the partition, for the rules between tables.
    """
    failures = [*_contract(table_name, frame), *_attributes(frame, extra or {})]
    failures += _not_finite(frame)
    unusable = {f.column for f in failures if f.rule in (MISSING, WRONG_TYPE)}
    for outcome in judge_rows(table_name, frame, tables or {}):
        # An unusable column is named once, not again by every rule that reads it.
        if (count := int(outcome.broken.sum())) and unusable.isdisjoint(outcome.needs):
            failures.append(SchemaFailure(outcome.column, outcome.rule, count))
    ordered = tuple(sorted(set(failures), key=lambda f: (f.column, f.rule)))
    return SchemaResult(table_name, not ordered, ordered, frame.height)


def wrong_type(frame: pl.DataFrame, column: Column) -> bool:
    """Whether the frame has the column, but not in the contract's type."""
    return column.name in frame.columns and frame.schema[column.name] != column.dtype


def wrong_attribute_type(frame: pl.DataFrame, name: str, attribute: Attribute) -> bool:
    """Whether the frame has the attribute in a type that its declaration does not cover."""
    return not frame.select(cs.by_name(name) & _ATTRIBUTE_TYPES[attribute.dtype]).columns


def extraction_columns(table_name: str) -> tuple[Column, ...]:
    """The contract's columns as an extract has them: JSON columns are expanded away."""
    return tuple(c for c in columns(TABLES[table_name]) if not c.json)


def _contract(table_name: str, frame: pl.DataFrame) -> list[SchemaFailure]:
    declared = columns(TABLES[table_name])
    expanded = [c.name for c in declared if c.json]
    schema = TABLES[table_name].to_schema().remove_columns(expanded)
    if expanded:
        # The keys of the JSON document are columns here, so a further column is no mistake.
        schema.strict = False
    # Pandera counts nulls as duplicates of each other; UNIQUE in the warehouse does not.
    optional = [c.name for c in declared if c.unique and c.nullable]
    schema = schema.update_columns({name: {"unique": False} for name in optional})
    failures = [SchemaFailure(n, "duplicate", _duplicates(frame, n)) for n in optional if n in frame.columns]
    return [f for f in failures if f.count] + _pandera(schema, frame)


def _duplicates(frame: pl.DataFrame, name: str) -> int:
    return int(frame[name].drop_nulls().is_duplicated().sum())


def _pandera(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> list[SchemaFailure]:
    try:
        # PANDERA_VALIDATION_ENABLED=False in an environment must not open the gate.
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        failures = [_translated(error, frame.height) for error in errors.schema_errors]
        unusable = {f.column for f in failures if f.rule == WRONG_TYPE}
        return [f for f in failures if f.rule == WRONG_TYPE or f.column not in unusable]
    return []


def _translated(error: pa.errors.SchemaError, rows: int) -> SchemaFailure:
    cases = error.failure_cases
    if error.reason_code in (
        SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME,
        SchemaErrorReason.COLUMN_NOT_IN_SCHEMA,
    ):
        return SchemaFailure(str(cases), _REASONS[error.reason_code], rows)
    count = cases.height if isinstance(cases, pl.DataFrame) else rows
    check = getattr(error.check, "name", None)
    rule = _REASONS.get(error.reason_code) or _CHECKS.get(str(check), str(error.reason_code.name).lower())
    return SchemaFailure(str(error.column_name), rule, count)


def _attributes(frame: pl.DataFrame, extra: Mapping[str, Attribute]) -> list[SchemaFailure]:
    failures = []
    for name, attribute in extra.items():
        rows = frame.height
        if name not in frame.columns:
            failures.append(SchemaFailure(name, MISSING, rows))
        elif rows and frame[name].null_count() == rows:
            failures.append(SchemaFailure(name, "all_null", rows))
        elif wrong_attribute_type(frame, name, attribute):
            failures.append(SchemaFailure(name, WRONG_TYPE, rows))
    return failures


def _not_finite(frame: pl.DataFrame) -> list[SchemaFailure]:
    counts = frame.select((~cs.float().is_finite()).sum())
    return [SchemaFailure(c, "not_finite", n) for c in counts.columns if (n := int(counts[c][0] or 0))]
