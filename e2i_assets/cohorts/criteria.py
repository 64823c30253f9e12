"""Criteria and temporal windows as Ibis expressions: written once, run wherever the table is.

Each rule becomes two booleans that are never null: `failed` (the row is not eligible by this rule) and
`unknown` (the value behind it is missing). A null or NaN fails an inclusion and triggers no exclusion.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from e2i_assets.cohorts.config import (
    OBSERVATION_END,
    OBSERVATION_START,
    ORDER_OPERATORS,
    CohortConfig,
    Criterion,
    Operator,
    Scalar,
    Value,
    kind_of,
)
from e2i_assets.cohorts.errors import CohortError

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt_ibis
    import ibis.expr.types as ir

RuleKind: TypeAlias = Literal["inclusion", "exclusion", "temporal"]
EngineType: TypeAlias = Literal["boolean", "int64", "float64", "string", "date"]


@dataclass(frozen=True)
class Rule:
    """One row of the attrition table, and how to compute it on a table."""

    name: str
    kind: RuleKind
    operator: str
    value: Value | None
    description: str
    clinical_rationale: str
    failed: ir.BooleanValue
    unknown: ir.BooleanValue


def rules_of(config: CohortConfig, table: ir.Table) -> tuple[Rule, ...]:
    """All rules of a definition on a table, in the order of attrition: inclusion, exclusion, temporal.

    Raises:
        CohortError: CC_004 when a column's type does not fit a criterion, CC_005 for a date column.
    """
    return (
        *(_criterion_rule(c, "inclusion", config, table) for c in config.inclusion_criteria),
        *(_criterion_rule(c, "exclusion", config, table) for c in config.exclusion_criteria),
        *_temporal_rules(config, table),
    )


def _criterion_rule(
    criterion: Criterion, kind: Literal["inclusion", "exclusion"], config: CohortConfig, table: ir.Table
) -> Rule:
    column = table[criterion.field]
    engine_type = _engine_type(criterion, column.type(), config)
    column = _typed(column, engine_type)
    unknown = _unknown(column)
    met = _met(criterion, column, engine_type).fill_null(False) & ~unknown
    return Rule(
        name=criterion.field,
        kind=kind,
        operator=str(criterion.operator),
        value=criterion.value,
        description=criterion.description,
        clinical_rationale=criterion.clinical_rationale,
        failed=~met if kind == "inclusion" else met,
        unknown=unknown,
    )


def _engine_type(criterion: Criterion, dtype: dt_ibis.DataType, config: CohortConfig) -> EngineType:
    """The type in which column and value are compared; CC_004 when they do not fit each other."""
    value_kind = kind_of(criterion.values[0])
    whole = all(isinstance(value, int) for value in criterion.values)
    fits: dict[tuple[str, str], EngineType] = {
        ("boolean", "boolean"): "boolean",
        ("integer", "number"): "int64" if whole else "float64",
        ("real", "number"): "float64",
        ("string", "string"): "string",
        ("date", "string"): "date",
        # A column of nulls without a type takes the type of the value; it stays unknown throughout.
        ("null", "boolean"): "boolean",
        ("null", "number"): "float64",
        ("null", "string"): "date" if criterion.operator in ORDER_OPERATORS else "string",
    }
    found = fits.get((_family(dtype), value_kind))
    textual = criterion.operator is Operator.CONTAINS
    ordered = criterion.operator in ORDER_OPERATORS
    if found is None or (textual and found != "string") or (ordered and found == "string"):
        raise CohortError(
            "CC_004",
            f"{config.cohort_id}: criterion {criterion.field} {criterion.operator} takes a {value_kind} "
            f"value, but the column is {dtype}; correct the criterion or convert the column",
        )
    if found == "date":
        _require_dates(criterion, config)
    return found


def _family(dtype: dt_ibis.DataType) -> str:
    if dtype.is_floating() or dtype.is_decimal():
        return "real"
    if dtype.is_date() or (dtype.is_timestamp() and dtype.timezone is None):
        return "date"
    known = {"boolean": dtype.is_boolean, "integer": dtype.is_integer, "string": dtype.is_string}
    known["null"] = dtype.is_null
    return next((name for name, matches in known.items() if matches()), "other")


def _require_dates(criterion: Criterion, config: CohortConfig) -> None:
    try:
        for value in criterion.values:
            dt.date.fromisoformat(str(value))
    except ValueError:
        raise CohortError(
            "CC_004",
            f"{config.cohort_id}: criterion {criterion.field} {criterion.operator} is on a date column and "
            "needs ISO dates (YYYY-MM-DD)",
        ) from None


def _typed(column: ir.Column, engine_type: EngineType) -> Any:
    """The column in the engine's type; narrow types would refuse a value outside their range."""
    if str(column.type()).removeprefix("!") == engine_type:
        return column
    return column.cast(engine_type)


def _unknown(column: Any) -> Any:
    if column.type().is_floating():
        return column.isnull() | column.isnan()
    return column.isnull()


def _met(criterion: Criterion, column: Any, engine_type: EngineType) -> Any:
    compare = _COMPARISONS[criterion.operator]
    return compare(column, [_literal(value, engine_type) for value in criterion.values], engine_type)


def _literal(value: Scalar, engine_type: EngineType) -> Any:
    if engine_type == "date":
        return dt.date.fromisoformat(str(value))
    return float(value) if engine_type == "float64" else value


def _among(column: Any, values: list[Any], engine_type: EngineType) -> Any:
    """Membership as one array lookup: the Polars backend spells `isin` as one comparison per value."""
    import ibis

    return ibis.literal(values, type=f"array<{engine_type}>").contains(column)


def _simple(compare: Callable[[Any, Any], Any]) -> Callable[[Any, list[Any], EngineType], Any]:
    def apply(column: Any, values: list[Any], engine_type: EngineType) -> Any:
        import ibis

        return compare(column, ibis.literal(values[0], type=engine_type))

    return apply


def _between(column: Any, values: list[Any], engine_type: EngineType) -> Any:
    import ibis

    low, high = (ibis.literal(value, type=engine_type) for value in values)
    return (column >= low) & (column <= high)


_COMPARISONS: dict[Operator, Callable[[Any, list[Any], EngineType], Any]] = {
    Operator.EQUAL: _simple(operator.eq),
    Operator.NOT_EQUAL: _simple(operator.ne),
    Operator.GREATER: _simple(operator.gt),
    Operator.GREATER_EQUAL: _simple(operator.ge),
    Operator.LESS: _simple(operator.lt),
    Operator.LESS_EQUAL: _simple(operator.le),
    Operator.IN: _among,
    Operator.NOT_IN: lambda column, values, engine_type: ~_among(column, values, engine_type),
    Operator.BETWEEN: _between,
    Operator.CONTAINS: lambda column, values, _: column.contains(values[0]),
}


def _temporal_rules(config: CohortConfig, table: ir.Table) -> tuple[Rule, ...]:
    """Index date present, observed before it, observed after it; in whole days."""
    windows = config.temporal_requirements
    index = _day(table, windows.index_date_field, config)
    start = _day(table, OBSERVATION_START, config)
    end = _day(table, OBSERVATION_END, config)
    before = index.delta(start, unit="day") >= windows.lookback_days
    after = end.delta(index, unit="day") >= windows.followup_days
    return (
        Rule(
            "index_date", "temporal", "is_present", windows.index_date_field,
            f"{windows.index_date_field} is recorded", "",
            failed=index.isnull(), unknown=index.isnull(),
        ),
        Rule(
            "lookback_days", "temporal", ">=", windows.lookback_days,
            f"At least {windows.lookback_days} days observed before the index date", "",
            failed=~before.fill_null(False), unknown=index.isnull() | start.isnull(),
        ),
        Rule(
            "followup_days", "temporal", ">=", windows.followup_days,
            f"At least {windows.followup_days} days observed after the index date", "",
            failed=~after.fill_null(False), unknown=index.isnull() | end.isnull(),
        ),
    )  # fmt: skip


def _day(table: ir.Table, name: str, config: CohortConfig) -> Any:
    column = table[name]
    if _family(column.type()) not in ("date", "null"):
        raise CohortError(
            "CC_005",
            f"{config.cohort_id}: {name} is {column.type()}; the windows need a date, or a timestamp without "
            "time zone: convert the column",
        )
    return _typed(column, "date")
