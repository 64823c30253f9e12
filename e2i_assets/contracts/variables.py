"""What is known of a variable: a column of a contract, an attribute of a cohort file, a feature of a model.

When a value becomes known is said or it is not: what nobody has declared is never taken as known early.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import polars as pl
from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from e2i_assets.json_files import from_json

Role = Literal["id", "time", "feature", "treatment", "outcome", "post_outcome", "audit"]
AttributeType = Literal["integer", "number", "boolean", "string", "date"]
FeatureKind = Literal["numeric", "categorical", "boolean"]

INDEX = "index"
"""Available at: known on the index date."""
OUTCOME = "outcome"
"""Available at: known only when the follow-up window has passed."""
FEATURE_ROLES = ("feature", "treatment")
"""Roles of what a model may learn from."""
AFTERWARDS = ("outcome", "post_outcome")
"""Roles of what is known only with the outcome."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What a value may be used for, when it becomes known, and what it means.

    Attributes:
        role: what the value may be used for.
        available_at: `index`, `outcome` or the date column from which on the value is known; None where
            nobody has said, which is not the same as `index`.
        unit: what it is counted in.
        description: what it means.
    """

    role: Role = "feature"
    available_at: str | None = None
    unit: str | None = None
    description: str = ""

    @property
    def declared(self) -> bool:
        """Whether somebody has said when it is known."""
        return self.available_at is not None

    @property
    def known_afterwards(self) -> bool:
        """Whether it is known only with the outcome."""
        return self.role in AFTERWARDS or self.available_at == OUTCOME

    @property
    def known_at_index(self) -> bool:
        """Whether somebody has said that it is known on the index date."""
        return self.available_at == INDEX and not self.known_afterwards

    @property
    def meaning(self) -> str:
        """The description with its unit, for a person."""
        return f"{self.description} ({self.unit})" if self.unit else self.description


@dataclass(frozen=True, kw_only=True)
class Column(Variable):
    """One column of a contract, as every reader of contracts wants it.

    `references` is `table.column`; `allowed` the closed set of values; `low` and `high` inclusive bounds;
    `wanted_when` the SQL condition of the rows that can fill a nullable column (None: every row).
    """

    role: Role
    available_at: str
    name: str
    dtype: pl.DataType
    nullable: bool
    key: bool
    unique: bool
    references: str | None = None
    allowed: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    json: bool = False
    wanted_when: str | None = None


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Attribute(Variable):
    """A clinical column beyond the contract of `patient_journeys`, as a cohort file declares it.

    Without `available_at` the column is a feature, and the leakage audit judges it by its name and figures.

    Attributes:
        dtype: what its values are; others make a load fail.
    """

    dtype: AttributeType

    @model_validator(mode="after")
    def _outcomes_come_later(self) -> Self:
        if self.role in AFTERWARDS and self.available_at in (INDEX, None):
            raise ValueError(f"role {self.role} is not known at the index date: set available_at to outcome")
        return self


@dataclass(frozen=True, kw_only=True)
class Feature(Variable):
    """One feature: a column of the feature set.

    Attributes:
        kind: decides the preprocessing, and what a request may hold; each may be null.
        source: `table.column`; of a feature of events the table, or the column that it is counted from.
        low, high, integer, allowed: what its contract lets a value be: inclusive bounds, levels.
    """

    name: str
    kind: FeatureKind
    source: str
    low: float | None = None
    high: float | None = None
    integer: bool = False
    allowed: tuple[str, ...] | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` made of one.

        Earlier records have role and availability under `declared`, or lack them: nobody has said.
        """
        stored = {**record, **record.get("declared", {})}
        stored.pop("declared", None)
        return from_json(cls, stored)
