"""Criteria and temporal windows as Ibis expressions: written once, run wherever the table is.

Each rule becomes two booleans that are never null: `failed` (the row is not eligible by this rule) and
`unknown` (the value behind it is missing). A null or NaN fails an inclusion and triggers no exclusion.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from e2i_assets.cohorts.config import (
    OBSERVATION_END,
    OBSERVATION_START,
    RECORDED,
    CohortConfig,
)
from e2i_assets.cohorts.criterion import (
    ORDER_OPERATORS,
    AnyCriterion,
    Criterion,
    EventCriterion,
    Operator,
    Scalar,
    Value,
    kind_of,
)
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.cohorts.iso_days import iso_days

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt_ibis
    import ibis.expr.types as ir

RuleKind: TypeAlias = Literal["inclusion", "exclusion", "temporal"]
FEW = 8
"""Up to so many values, comparing text with each took Polars less time than one look-up in a set."""
EngineType: TypeAlias = Literal["boolean", "int64", "float64", "string", "date"]


@dataclass(frozen=True)
class Rule:
    """One row of the attrition table, and how to compute it on a table."""

    name: str
    kind: RuleKind
    operator: str
    value: Value | None
    condition: str
    description: str
    clinical_rationale: str
    failed: ir.BooleanValue
    unknown: ir.BooleanValue


def rules_of(config: CohortConfig, table: ir.Table) -> tuple[Rule, ...]:
    """All rules of a definition on a table, in the order of attrition: inclusion, exclusion, temporal.

    Args:
        table: the journeys, with the columns of `counted` for each criterion on events.

    Raises:
        CohortError: CC_004 when a column's type does not fit a criterion, CC_005 for a date column.
    """
    kinds: list[Literal["inclusion", "exclusion"]] = ["inclusion"] * len(config.inclusion_criteria)
    kinds += ["exclusion"] * len(config.exclusion_criteria)
    numbers = count()
    rules = []
    for kind, criterion in zip(kinds, config.criteria, strict=True):
        met, unknown = _answer(criterion, numbers, config, table)
        rules.append(_rule(criterion, kind, met, unknown))
    rules += _temporal_rules(config, table)
    return tuple(rules) or (_everyone(),)


def _answer(
    criterion: AnyCriterion, numbers: Iterator[int], config: CohortConfig, table: ir.Table
) -> tuple[Any, Any]:
    """Whether a criterion is met, and whether that is unknown; `numbers` counts those on events."""
    if isinstance(criterion, EventCriterion):
        return _enough_events(criterion, next(numbers), config, table)
    if isinstance(criterion, Criterion):
        return assess(criterion, table, config.cohort_id)
    answers = [_answer(part, numbers, config, table) for part in criterion.of]
    certain = reduce(operator.add, (met.ifelse(1, 0) for met, _ in answers))
    possible = reduce(operator.add, ((met | unknown).ifelse(1, 0) for met, unknown in answers))
    return _within(certain, possible, *criterion.bounds)


def _within(certain: Any, possible: Any, low: int, high: int | None) -> tuple[Any, Any]:
    """Whether a number lies between bounds, and whether that is unknown, where it is between two others."""
    surely, maybe = certain >= low, possible >= low
    if high is not None:
        surely, maybe = surely & (possible <= high), maybe & (certain <= high)
    return surely, maybe & ~surely


def _rule(criterion: AnyCriterion, kind: Literal["inclusion", "exclusion"], met: Any, unknown: Any) -> Rule:
    return Rule(
        name=criterion.name,
        kind=kind,
        operator=str(criterion.operator),
        value=criterion.value,
        condition=criterion.condition,
        description=criterion.description,
        clinical_rationale=criterion.clinical_rationale,
        failed=~met if kind == "inclusion" else met,
        unknown=unknown,
    )


def assess(criterion: Criterion, table: ir.Table, cohort_id: str) -> tuple[Any, Any]:
    """Two booleans that are never null: the criterion is met, its value is unknown; never both.

    Raises:
        CohortError: CC_004 when the column's type does not fit the criterion.
    """
    column = table[criterion.field]
    engine_type = _engine_type(criterion, column.type(), cohort_id)
    column = _typed(column, engine_type)
    unknown = _unknown(column)
    return _met(criterion, column, engine_type) & ~unknown, unknown


def counted(i: int) -> tuple[str, str]:
    """Columns of the i-th criterion on events: events that count, and those that might if all were known."""
    return f"__certain{i}__", f"__possible{i}__"


def _enough_events(
    criterion: EventCriterion, i: int, config: CohortConfig, table: ir.Table
) -> tuple[Any, Any]:
    certain, possible = (table[name] for name in counted(i))
    met, unknown = _within(certain, possible, criterion.at_least, criterion.at_most)
    undated = counted_from(criterion, config, table).isnull()
    return met & ~undated, undated | unknown


def counted_from(criterion: EventCriterion, config: CohortConfig, table: ir.Table) -> Any:
    """The day that the days of a criterion are counted from."""
    if criterion.days_from is None:
        return index_date(config, table)
    return day(table, criterion.days_from, config.cohort_id)


def _engine_type(criterion: Criterion, dtype: dt_ibis.DataType, cohort_id: str) -> EngineType:
    """The type in which column and value are compared; CC_004 when they do not fit each other."""
    value_kind = kind_of(criterion.values[0])
    whole = all(isinstance(value, int) or _is_int64(value) for value in criterion.values)
    fits: dict[tuple[str, str], EngineType] = {
        ("boolean", "boolean"): "boolean",
        ("integer", "number"): "int64" if whole else "float64",
        ("real", "number"): "float64",
        ("string", "string"): "string",
        ("date", "string"): "date",
        # A column of nulls without a type takes the type of the value; it stays unknown throughout.
        ("null", "boolean"): "boolean",
        ("null", "number"): "int64" if whole else "float64",
        ("null", "string"): "date" if criterion.operator in ORDER_OPERATORS else "string",
    }
    compared = fits.get((_family(dtype), value_kind))
    textual = criterion.operator is Operator.CONTAINS
    ordered = criterion.operator in ORDER_OPERATORS
    if compared is None or (textual and compared != "string") or (ordered and compared == "string"):
        raise CohortError(
            "CC_004",
            f"{cohort_id}: criterion {criterion.field} {criterion.operator} takes a {value_kind} "
            f"value, but the column is {dtype}; correct the criterion or convert the column",
        )
    if compared == "date":
        _require_dates(criterion, cohort_id)
    if compared == "float64":
        _require_exact(criterion, dtype, cohort_id)
    return compared


def _is_int64(value: Scalar) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) < 2**63


def _family(dtype: dt_ibis.DataType) -> str:
    if dtype.is_floating() or dtype.is_decimal():
        return "real"
    if dtype.is_date() or (dtype.is_timestamp() and dtype.timezone is None):
        return "date"
    if dtype.is_uint64():
        return "other"  # half of its values have no place in the 64 bits that engines share
    known = {"boolean": dtype.is_boolean, "integer": dtype.is_integer, "string": dtype.is_string}
    known["null"] = lambda: is_untyped(dtype)
    return next((name for name, matches in known.items() if matches()), "other")


def is_untyped(dtype: dt_ibis.DataType) -> bool:
    """Whether a column holds nulls and no type; DuckDB has one for it that Ibis does not know."""
    return dtype.is_null() or (dtype.is_unknown() and "NULL" in str(dtype))


def _require_dates(criterion: Criterion, cohort_id: str) -> None:
    try:
        for value in criterion.values:
            dt.date.fromisoformat(str(value))
    except ValueError:
        raise CohortError(
            "CC_004",
            f"{cohort_id}: criterion {criterion.field} {criterion.operator} is on a date column and "
            "needs ISO dates (YYYY-MM-DD)",
        ) from None


def _require_exact(criterion: Criterion, dtype: dt_ibis.DataType, cohort_id: str) -> None:
    """Beyond 2**53 neighbouring whole numbers are one float64."""
    large = [value for value in criterion.values if not isinstance(value, str) and abs(value) > 2**53]
    if (large and dtype.is_integer()) or any(float(value) != value for value in large):
        raise CohortError(
            "CC_004",
            f"{cohort_id}: criterion {criterion.field} {criterion.operator} has a value beyond 2**53, which "
            f"cannot be compared exactly with {dtype}; give whole numbers only, for a column of those",
        )


def _typed(column: ir.Column, engine_type: EngineType) -> Any:
    """The column in the engine's type; narrow types would refuse a value outside their range."""
    if str(column.type()).removeprefix("!") != engine_type:
        return column.cast(engine_type)
    # An enum of PostgreSQL passes for text, and takes no other values than its own.
    return column + "" if engine_type == "string" and column.get_backend().name == "postgres" else column


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
    if engine_type == "int64":
        return int(value)
    return float(value) if engine_type == "float64" else value


def _among(column: Any, values: list[Any], engine_type: EngineType) -> Any:
    """Membership; the Polars backend spells `isin` as one comparison per value, quickest for few."""
    import ibis

    if len(values) <= FEW:
        return column.isin([ibis.literal(value, type=engine_type) for value in values])
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
    if windows is None:
        return ()
    index = index_date(config, table)
    start = day(table, OBSERVATION_START, config.cohort_id)
    end = _known_until(config, table)
    undated, unstarted, unended = index.isnull(), start.isnull(), end.isnull()
    before = days_between(start, index) >= windows.lookback_days
    after = days_between(index, end) >= windows.followup_days
    return (
        Rule(
            "index_date", "temporal", "is_present", windows.index_date_field,
            f"{windows.index_date_field} is present", f"{windows.index_date_field} is recorded", "",
            failed=undated, unknown=undated,
        ),
        Rule(
            "lookback_days", "temporal", ">=", windows.lookback_days,
            f"lookback_days >= {windows.lookback_days}",
            f"At least {windows.lookback_days} days observed before the index date", "",
            failed=~before | undated | unstarted, unknown=undated | unstarted,
        ),
        Rule(
            "followup_days", "temporal", ">=", windows.followup_days,
            f"followup_days >= {windows.followup_days}",
            f"At least {windows.followup_days} days observed after the index date, alive and on record", "",
            failed=~after | undated | unended, unknown=undated | unended,
        ),
    )  # fmt: skip


def _known_until(config: CohortConfig, table: ir.Table) -> Any:
    """Last day of observation, which outlasts neither the patient nor the day of the source's record.

    Clocks of sources are in zones, so the day after the record in UTC is allowed. Where no record is dated,
    nobody has been observed beyond today.
    """
    import ibis

    from e2i_assets.settings import settings

    end = day(table, OBSERVATION_END, config.cohort_id)
    today = ibis.literal(settings().today)
    limits = [today]
    if RECORDED in table.columns and not is_untyped(table[RECORDED].type()):
        limits = [
            (_recorded_on(table, config.cohort_id) + ibis.interval(days=1)).cast("date").coalesce(today)
        ]
    if config.death_date_field:
        limits.append(day(table, config.death_date_field, config.cohort_id))
    for limit in limits:
        # A limit that is not known is none.
        end = (limit < end).ifelse(limit, end)
    return end


def _recorded_on(table: ir.Table, cohort_id: str) -> Any:
    column = table[RECORDED]
    if column.type().is_date() or column.type().is_timestamp():
        return column.cast("date")
    raise CohortError(
        "CC_005",
        f"{cohort_id}: {RECORDED} is {column.type()}; observation ends with it, so convert it to a time or a "
        "date, or leave it out",
    )


def _everyone() -> Rule:
    """Where nothing is asked for: an attrition table has one row at least."""
    import ibis

    nobody = ibis.literal(False)
    return Rule("everyone", "inclusion", "any", None, "every journey", "Every journey", "", nobody, nobody)


def index_date(config: CohortConfig, table: ir.Table) -> Any:
    """The index date as whole days, of a definition that asks for windows.

    Raises:
        CohortError: CC_005, see `day`.
    """
    assert config.temporal_requirements is not None, "a definition without windows counts no days"
    return day(table, config.temporal_requirements.index_date_field, config.cohort_id)


def days_between(first: Any, last: Any) -> Any:
    """Days from one date to another, null where one is missing.

    Polars subtracts day numbers in a fraction of the time that it takes for dates; other engines have none.
    """
    if first.get_backend().name == "polars":
        return last.cast("int64") - first.cast("int64")
    return last.delta(first, unit="day")


def day(table: ir.Table, name: str, cohort_id: str) -> Any:
    """A column as whole days: a date, a timestamp without time zone, or text of either in ISO form.

    Raises:
        CohortError: CC_005 when it is something else, or text of which some is no such date.
    """
    column = table[name]
    family = _family(column.type())
    if family == "string" and table.get_backend().name == "duckdb":
        return iso_days(table, name, cohort_id)
    if family not in ("date", "null"):
        raise CohortError(
            "CC_005",
            f"{cohort_id}: {name} is {column.type()}; the windows need a date, or a timestamp without time "
            "zone: convert the column",
        )
    return _typed(column, "date")
