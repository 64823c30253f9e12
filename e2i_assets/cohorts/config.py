"""Cohort definitions: criteria, temporal windows and attributes, read from YAML or written in Python."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from e2i_assets.cohorts.errors import CohortError
from e2i_assets.cohorts.files import read_mapping
from e2i_assets.contracts.base import INDEX, Role, columns
from e2i_assets.contracts.tables import TABLES, PatientJourneys

OBSERVATION_START = "first_observation_date"
OBSERVATION_END = "last_observation_date"
MAX_CRITERIA = 60
"""Criteria of one definition; with the temporal rules each has one bit of a 64-bit mask."""

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = Scalar | list[Scalar]
ValueKind: TypeAlias = Literal["boolean", "number", "string"]


def _table(name: str) -> str:
    if name not in TABLES:
        raise ValueError(f"no such table; there are {', '.join(TABLES)}")
    return name


TableName: TypeAlias = Annotated[str, AfterValidator(_table)]


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


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Criterion(_Model):
    """One rule on one column: `field operator value`.

    A null or NaN in the column satisfies no inclusion criterion and triggers no exclusion criterion, whatever
    the operator. Dates are given as dates or ISO text. `contains` looks for the literal text, with case.
    """

    field: str = Field(min_length=1)
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


Days: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=36_500)]


class TemporalRequirements(_Model):
    """Observation that each member must have around the index date, in days."""

    lookback_days: Days = 180
    followup_days: Days = 90
    index_date_field: str = Field(default="diagnosis_date", min_length=1)


class Attribute(_Model):
    """A clinical column beyond the contract of `patient_journeys`.

    `available_at` is `index`, `outcome` or the date column from which on the value is known.
    """

    dtype: Literal["integer", "number", "boolean", "string", "date"]
    unit: str | None = None
    role: Role = "feature"
    available_at: str = INDEX
    description: str = ""

    @model_validator(mode="after")
    def _outcomes_come_later(self) -> Self:
        if self.role in ("outcome", "post_outcome") and self.available_at == INDEX:
            raise ValueError(f"role {self.role} is not known at the index date: set available_at to outcome")
        return self


class FeatureChoice(_Model):
    """Columns forced into the features (the leakage gate still judges them), and columns left out."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class CohortConfig(_Model):
    """The definition of one programme's cohort.

    Attributes:
        brand, indication: as in the data.
        scopes: names of the problem definitions that the programme serves.
        attributes: clinical columns beyond the contract of `patient_journeys`, by name.
        features: columns forced in or left out.
        required_tables: tables without which the programme's quality cannot be judged.
        not_collected: columns of patient_journeys that the programme's sources do not have, so that their
            emptiness is no fault of the data.
        minimum_size: members below which the cohort is refused.
    """

    cohort_name: str = Field(min_length=1)
    brand: str = Field(min_length=1)
    indication: str = Field(min_length=1)
    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$")
    status: Literal["active", "draft", "archived", "locked"] = "active"
    clinical_rationale: str = ""
    scopes: tuple[str, ...] = ()
    inclusion_criteria: tuple[Criterion, ...]
    exclusion_criteria: tuple[Criterion, ...] = ()
    temporal_requirements: TemporalRequirements = TemporalRequirements()
    attributes: dict[str, Attribute] = {}
    features: FeatureChoice = FeatureChoice()
    required_tables: tuple[TableName, ...] = tuple(TABLES)
    not_collected: tuple[str, ...] = ()
    minimum_size: int = Field(default=100, ge=1)

    @model_validator(mode="after")
    def _engine_can_hold_it(self) -> Self:
        criteria = len(self.inclusion_criteria) + len(self.exclusion_criteria)
        if criteria > MAX_CRITERIA:
            raise ValueError(f"{criteria} criteria, at most {MAX_CRITERIA} are allowed")
        contract = {column.name for column in columns(PatientJourneys)}
        if unknown := sorted(set(self.not_collected) - contract):
            raise ValueError(f"not_collected {unknown}: no such columns of patient_journeys")
        if shadowed := sorted(contract & self.attributes.keys()):
            raise ValueError(f"attributes {shadowed} are columns of patient_journeys already: remove them")
        return self

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read one definition.

        Raises:
            CohortError: CC_001, naming the file, the key path and the rule of each mistake.
        """
        content = read_mapping(Path(path))
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            mistakes = "; ".join(_mistake(e["loc"], e["msg"]) for e in error.errors())
            raise CohortError("CC_001", f"{path}: {mistakes}") from None

    @classmethod
    def from_brand(cls, brand: str, indication: str | None = None) -> Self:
        """The definition of a brand and indication among the cohort files; case does not matter.

        The indication may be left out where the brand has one only.

        Raises:
            CohortError: CC_001 when none fits or more than one does; lists what there is.
        """
        from e2i_assets.settings import config_dir

        folder = config_dir() / "cohorts"
        known = [cls.from_yaml(path) for path in sorted(folder.glob("*.yaml"))]
        found = [c for c in known if _slug(c.brand) == _slug(brand)]
        if indication is not None:
            found = [c for c in found if _slug(c.indication) == _slug(indication)]
        if len(found) == 1:
            return found[0]
        asked = brand if indication is None else f"{brand} / {indication}"
        there = _listed(found or known)
        problem = "names several cohorts, give the indication" if found else "has no cohort file"
        raise CohortError("CC_001", f"{asked!r} {problem}; {folder} has: {there}")

    @cached_property
    def config_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the definition as canonical JSON."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def cohort_id(self) -> str:
        """Brand, indication and version, such as `remibrutinib_csu_v1.0.0`."""
        return f"{_slug(self.brand)}_{_slug(self.indication)}_v{self.version}"

    @property
    def required_fields(self) -> tuple[str, ...]:
        """Columns that construction reads, each once, in the order of the rules."""
        criteria = [c.field for c in (*self.inclusion_criteria, *self.exclusion_criteria)]
        dates = [self.temporal_requirements.index_date_field, OBSERVATION_START, OBSERVATION_END]
        return tuple(dict.fromkeys(criteria + dates))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `CohortConfig(**config.to_dict())` is the same definition."""
        return self.model_dump(mode="json")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _listed(configs: Sequence[CohortConfig]) -> str:
    return ", ".join(f"{c.brand} / {c.indication} (v{c.version})" for c in configs) or "no cohort file"


def _mistake(location: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return f"{path.lstrip('.') or 'definition'}: {message.removeprefix('Value error, ')}"
