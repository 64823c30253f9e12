"""One criterion: a rule on a column of the journey, on events around its index date, or on other criteria."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from pydantic import Discriminator, Field, PlainValidator, Tag, model_validator

from e2i_assets.config_files import ConfigModel, Text

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | list[Scalar]
ValueKind: TypeAlias = Literal["boolean", "number", "string"]


class Operator(StrEnum):
    """How a criterion compares a column with its value; `between` includes both ends."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_EQUAL = ">="
    LESS = "<"
    LESS_EQUAL = "<="
    IN = "in"
    NOT_IN = "not_in"
    BETWEEN = "between"
    CONTAINS = "contains"


SET_OPERATORS = frozenset({Operator.IN, Operator.NOT_IN})
ORDER_OPERATORS = frozenset(
    {Operator.GREATER, Operator.GREATER_EQUAL, Operator.LESS, Operator.LESS_EQUAL, Operator.BETWEEN}
)


def kind_of(value: Scalar) -> ValueKind:
    """Kind of a criterion's scalar; a date counts as its ISO text."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _scalar(value: Any) -> Scalar:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be finite")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        raise ValueError("must fit in 64 bits")
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"must be a boolean, number, text or date, not {type(value).__name__}")
    return value


def _value(value: Any) -> Value:
    if isinstance(value, list | tuple):
        return [_scalar(item) for item in value]
    return _scalar(value)


class StrictModel(ConfigModel):
    """What is given without a name is taken in the order of the fields."""

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = list(type(self).model_fields)
        if len(values) > len(fields) or named.keys() & set(fields[: len(values)]):
            raise TypeError(f"{type(self).__name__} takes each of {', '.join(fields)} once")
        super().__init__(**dict(zip(fields, values, strict=False)), **named)


class Criterion(StrictModel):
    """One rule on one column: `field operator value`.

    A null or NaN in the column satisfies no inclusion criterion and triggers no exclusion criterion, whatever
    the operator. Dates are given as dates or ISO text. `contains` looks for the literal text, with case.

    Attributes:
        field: a column of the journeys, or a clinical attribute; of a condition on events one of theirs.
        operator: how column and value are compared.
        value: what the column is compared with: a list for `in` and `not_in`, low and high for `between`.
        description: the rule in words.
        clinical_rationale: why it is asked for.
    """

    field: Text
    operator: Operator
    value: Annotated[Value, PlainValidator(_value)]
    description: str = ""
    clinical_rationale: str = ""

    @model_validator(mode="after")
    def _value_fits_operator(self) -> Self:
        if self.operator in SET_OPERATORS:
            self._require_list("a non-empty list", len(self.values) > 0)
        elif self.operator is Operator.BETWEEN:
            self._require_list("a list of two, low then high", len(self.values) == 2)
        elif isinstance(self.value, list):
            raise ValueError(f"operator {self.operator} takes one value, not a list")
        if len({kind_of(value) for value in self.values}) > 1:
            raise ValueError(f"operator {self.operator} takes values of one kind")
        if self.operator in ORDER_OPERATORS:
            self._require_order()
        if self.operator is Operator.CONTAINS and not (isinstance(self.value, str) and self.value):
            raise ValueError("operator contains takes a non-empty text")
        return self

    @property
    def values(self) -> list[Scalar]:
        """The value as a list, also where there is only one."""
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def name(self) -> str:
        """What the attrition table calls it."""
        return self.field

    @property
    def condition(self) -> str:
        """The rule in a few words."""
        return f"{self.field} {self.operator} {self.value}"

    def _require_list(self, what: str, right_length: bool) -> None:
        if not (isinstance(self.value, list) and right_length):
            raise ValueError(f"operator {self.operator} takes {what}")

    def _require_order(self) -> None:
        """Numbers and dates have one order everywhere; text sorts by each engine's own collation."""
        if kind_of(self.values[0]) == "boolean":
            raise ValueError(f"operator {self.operator} needs a number or a date")
        bounds: list[Any] = self.values
        if kind_of(bounds[0]) == "string":
            try:
                bounds = [dt.date.fromisoformat(str(bound)) for bound in bounds]
            except ValueError:
                raise ValueError(f"operator {self.operator} needs a number or an ISO date") from None
        if bounds[0] > bounds[-1]:
            raise ValueError(f"operator {self.operator} takes low then high")


Day: TypeAlias = Annotated[int, Field(strict=True, ge=-36_500, le=36_500)]


class EventCriterion(StrictModel):
    """So many events of a kind within days of the index date.

    A null decides nothing: an event whose date or kind is unknown is not counted. Where such events could
    change the answer the journey has no value for the criterion, as it has without an index date.

    Attributes:
        name: what the attrition table calls it.
        where: conditions on the columns of the events table, all of which an event must meet.
        within_days: first and last day relative to the index date, both included; null leaves a side open.
        at_least, at_most: number of events; null sets no upper bound.
        distinct: count the different values of this column of the events instead; an unknown one may differ.
        observed: count only events that begin under the observation of the journey; an open side of the
            window ends with it.
        dated_by: which day of an event lies in the window; it ends `duration_days` after `event_date`.
        days_from: a date column of the journeys that days are counted from instead of the index date.
        description: the rule in words.
        clinical_rationale: why it is asked for.
    """

    name: Text
    where: tuple[Criterion, ...] = Field(min_length=1)
    within_days: tuple[Day | None, Day | None]
    at_least: int = Field(default=1, strict=True, ge=0)
    description: str = ""
    clinical_rationale: str = ""
    at_most: int | None = Field(default=None, ge=0)
    distinct: Literal["event_date", "event_subtype"] | None = None
    observed: bool = False
    dated_by: Literal["start", "end"] = "start"
    days_from: Text | None = None

    @model_validator(mode="after")
    def _window_is_not_empty(self) -> Self:
        first, last = self.within_days
        if first is not None and last is not None and first > last:
            raise ValueError("within_days takes the first day, then the last")
        _require_bounds(self.at_least, self.at_most)
        return self

    @property
    def operator(self) -> str:
        """How the number of events is compared."""
        return _operator(self.at_most)

    @property
    def value(self) -> Value:
        """The number, or the two, that it is compared with."""
        return _bounds(self.at_least, self.at_most)

    @property
    def condition(self) -> str:
        """The rule in a few words."""
        first, last = ("any" if day is None else day for day in self.within_days)
        what = f"different {self.distinct} of events" if self.distinct else "events"
        of = f" of {self.days_from}" if self.days_from else ""
        ends = " that end" if self.dated_by == "end" else ""
        observed = " under observation" if self.observed else ""
        kind = " and ".join(criterion.condition for criterion in self.where)
        number = _number(self.at_least, self.at_most)
        return f"{what}{ends} {number} in days [{first}, {last}]{of}{observed} with {kind}"


class GroupCriterion(StrictModel):
    """So many of some criteria are met; of all of them where neither number is said.

    Where criteria without a value could change the answer the group has none either.

    Attributes:
        name: what the attrition table calls it.
        of: the criteria, which may be groups again.
        at_least, at_most: how many of them; with `at_most` alone there need be none.
        description: the rule in words.
        clinical_rationale: why it is asked for.
    """

    name: Text
    of: tuple[AnyCriterion, ...] = Field(min_length=1)
    at_least: int | None = Field(default=None, ge=0)
    at_most: int | None = Field(default=None, ge=0)
    description: str = ""
    clinical_rationale: str = ""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        low, _ = self.bounds
        if low > len(self.of):
            raise ValueError(f"at_least {low} of {len(self.of)} criteria can never be met")
        _require_bounds(low, self.at_most)
        return self

    @property
    def bounds(self) -> tuple[int, int | None]:
        """Fewest and most criteria that are met; None: any number."""
        every = len(self.of) if self.at_most is None else 0
        return (every if self.at_least is None else self.at_least), self.at_most

    @property
    def operator(self) -> str:
        """How the number of criteria is compared."""
        return _operator(self.at_most)

    @property
    def value(self) -> Value:
        """The number, or the two, that it is compared with."""
        return _bounds(*self.bounds)

    @property
    def condition(self) -> str:
        """The rule in a few words."""
        return f"{_number(*self.bounds)} of ({'; '.join(criterion.condition for criterion in self.of)})"


def _require_bounds(low: int, high: int | None) -> None:
    if high is not None and low > high:
        raise ValueError("at_least must not be more than at_most")
    if low == 0 and high is None:
        raise ValueError("at_least 0 is met by everybody: state at_most, or a larger number")


def _operator(high: int | None) -> str:
    return "at_least" if high is None else "between"


def _bounds(low: int, high: int | None) -> Value:
    return low if high is None else [low, high]


def _number(low: int, high: int | None) -> str:
    if high is None:
        return f">= {low}"
    return f"== {low}" if low == high else f"<= {high}" if low == 0 else f"in [{low}, {high}]"


TAGS = ("column criterion", "event criterion", "group of criteria")


def _tag(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    return TAGS[1] if "where" in keys else TAGS[2] if "of" in keys else TAGS[0]


AnyCriterion: TypeAlias = Annotated[
    Annotated[Criterion, Tag(TAGS[0])]
    | Annotated[EventCriterion, Tag(TAGS[1])]
    | Annotated[GroupCriterion, Tag(TAGS[2])],
    Discriminator(_tag),
]
"""A criterion of any kind; the one with `where` is about events, that with `of` about other criteria."""
GroupCriterion.model_rebuild()


def leaves(criteria: Iterable[AnyCriterion]) -> Iterator[Criterion | EventCriterion]:
    """The criteria on columns and events, those inside groups among them, in the order of the file."""
    for criterion in criteria:
        if isinstance(criterion, GroupCriterion):
            yield from leaves(criterion.of)
        else:
            yield criterion
