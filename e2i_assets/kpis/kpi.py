"""One indicator as its file states it: formula, thresholds, the columns that it asks for, and its SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from e2i_assets.config_files import ConfigModel, Text

if TYPE_CHECKING:
    from e2i_assets.kpis.statement import Statement

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
SqlType = Literal[
    "text", "bigint", "integer", "double precision", "boolean", "date", "timestamp with time zone", "jsonb"
]
"""Types of columns, as PostgreSQL calls them."""
Unit = Literal["share", "index", "ratio", "count", "days", "hours", "points", "effect"]
Status = Literal["on_target", "below_target", "warning", "critical", "no_target"]
"""How a value stands; `no_target` where the file states no thresholds."""


class Thresholds(ConfigModel):
    """Values to be reached; each is met by the value itself. Their order says which way is better."""

    target: float
    warning: float
    critical: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ordered = sorted((self.target, self.warning, self.critical), reverse=self.more_is_better)
        if ordered != [self.target, self.warning, self.critical] or self.target == self.critical:
            raise ValueError("target, warning and critical must rise or fall in this order")
        return self

    @property
    def more_is_better(self) -> bool:
        """Whether a larger value is the better one."""
        return self.target > self.critical

    def status(self, value: float) -> Status:
        """How a value stands: past `critical` it is critical, past `warning` a warning."""
        failed = [
            value < limit if self.more_is_better else value > limit
            for limit in (self.critical, self.warning, self.target)
        ]
        names: tuple[Status, ...] = ("critical", "warning", "below_target")
        return next((name for name, past in zip(names, failed, strict=True) if past), "on_target")


class Kpi(ConfigModel):
    """One indicator.

    Attributes:
        formula: what is computed, in words.
        unit: of the value; a `count` is of rows or people.
        frequency: how often the team looks at it.
        partitions: partitions that it is about; every one where none is named.
        columns: table or view to column to type: what it asks of the warehouse.
        sql: a SELECT of one row, `value` and the number of `rows` that it rests on, over these columns and
            no others; left out where what it would read is nowhere.
        lacks: what the columns that are there do not say, where there is no SQL for want of it.
    """

    id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]*$")]
    name: Text
    formula: Text
    unit: Unit
    frequency: Literal["daily", "weekly", "monthly", "on_demand"]
    thresholds: Thresholds | None = None
    partitions: tuple[Name, ...] = ()
    columns: Mapping[Name, Mapping[Name, SqlType]] = Field(min_length=1)
    sql: Text | None = None
    lacks: Text | None = None

    @model_validator(mode="after")
    def _asks_for_what_it_reads(self) -> Self:
        if self.sql is not None and self.lacks is not None:
            raise ValueError("lacks: goes with an indicator that has no sql")
        if self.sql is not None:
            self._statement(self.sql)
        return self

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters of the SQL: what it is asked about."""
        return self._statement(self.sql).parameters if self.sql else frozenset()

    def _statement(self, sql: str) -> Statement:
        # With it comes sqlglot, which costs more than all other modules of the indicators.
        from e2i_assets.kpis.statement import read_statement

        return read_statement(sql, self.columns)

    def is_about(self, partition: str) -> bool:
        """Whether the indicator is asked of a partition."""
        return not self.partitions or partition in self.partitions

    def status(self, value: float) -> Status:
        """How a value stands."""
        return self.thresholds.status(value) if self.thresholds else "no_target"
