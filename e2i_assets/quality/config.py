"""What quality control is asked to do: weights, thresholds and suites, read from `config/quality.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

import polars as pl
from pydantic import Field, ValidationError, model_validator

from e2i_assets.cohorts.quality_terms import DimensionName, QualityTerms, Refresh
from e2i_assets.config_files import (
    ConfigFileError,
    ConfigModel,
    Lines,
    parse_settings,
    read_settings,
    read_text,
)
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.errors import E2IError

DIMENSIONS: tuple[DimensionName, ...] = (
    "completeness", "validity", "consistency", "uniqueness", "timeliness",
)  # fmt: skip


NOT_REFRESHED = (
    "refresh: none, no new data are expected: timeliness is not graded, and the score is that of the other "
    "four dimensions"
)

REVEALING = frozenset(
    f"expect_column_{name}"
    for name in (
        "min_to_be_between", "max_to_be_between", "quantile_values_to_be_between",
        "most_common_value_to_be_in_set", "distinct_values_to_be_in_set", "distinct_values_to_equal_set",
        "distinct_values_to_contain_set", "kl_divergence_to_be_less_than",
    )
)  # fmt: skip
"""Rules whose observed value is a value of the data, or a list of them."""


class QualityConfigError(E2IError, ValueError):
    """A quality setting or suite file that cannot be used; says which file and why."""

    code = "quality_config"
    next_step = "Correct the file that the message names."


M = TypeVar("M", bound=ConfigModel)


class Dimension(ConfigModel):
    """One dimension's part in the score; all figures are shares, 0 to 1."""

    weight: float = Field(ge=0, le=1)
    threshold: float = Field(ge=0, le=1)
    block_below: float = Field(default=0.0, ge=0, le=1)


class SuiteStatus(ConfigModel):
    """Share of a suite's expectations that must hold for `passed` and for `warning`."""

    passed: float = Field(default=0.95, ge=0, le=1)
    warning: float = Field(default=0.80, ge=0, le=1)


class Expectation(ConfigModel):
    """One Great Expectations rule and the business reason for it.

    `values_from`, a `table.column`, stands for the `value_set` of `expect_column_values_to_be_in_set`: the
    rule is then a reference between tables. `where`, a condition in SQL, limits a rule about one column to
    the rows that meet it.
    """

    type: str
    kwargs: dict[str, Any] = Field(default_factory=dict)
    why: str
    values_from: str | None = None
    where: str | None = None

    @model_validator(mode="after")
    def _tells_no_values(self) -> Self:
        if self.type in REVEALING:
            raise ValueError(f"{self.type} would report values of patients")
        return self

    @model_validator(mode="after")
    def _limits_one_column(self) -> Self:
        # Rows outside the condition count as empty, which only this rule would hold against them.
        if self.where and (self.values_from or "column" not in self.kwargs or "not_be_null" in self.type):
            raise ValueError("where goes with a rule about the values of one column")
        return self

    @model_validator(mode="after")
    def _reference_is_a_set(self) -> Self:
        takes_it = self.type == "expect_column_values_to_be_in_set" and "column" in self.kwargs
        if self.values_from and (not takes_it or "value_set" in self.kwargs):
            raise ValueError("values_from goes with expect_column_values_to_be_in_set, instead of value_set")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule judges; empty for a rule about the table."""
        single = [self.kwargs[k] for k in ("column", "column_A", "column_B") if k in self.kwargs]
        return (*single, *self.kwargs.get("column_list", ()))

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that the rule reads.

        Raises:
            ValueError: `where` is no condition in SQL.
        """
        return (*self.columns, *(condition_columns(self.where) if self.where else ()))


class Suite(ConfigModel):
    """A reviewed list of expectations about one table, kept in `config/expectations/<suite>.yaml`."""

    suite: str
    table: str
    description: str
    expectations: tuple[Expectation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        used = [f"{self.table}.{c}" for e in self.expectations for c in e.needs]
        used += [e.values_from for e in self.expectations if e.values_from]
        if unknown := sorted({u for u in used if not _in_contract(u)}):
            raise ValueError(f"no contract has {', '.join(unknown)}")
        rules = [(e.type, e.kwargs, e.values_from, e.where) for e in self.expectations]
        if any(rule in rules[:i] for i, rule in enumerate(rules)):
            raise ValueError("the same expectation is stated twice")
        return self

    @staticmethod
    def from_yaml(path: Path) -> Suite:
        """Read one suite file; QualityConfigError when it cannot be read or names an unknown column."""
        with _refusing():
            return _suite(read_text(path), path)


@lru_cache(maxsize=64)
def _suite(text: str, path: Path) -> Suite:
    """The suite of a file's text: most stages of a run ask for the suites, nearly always the same ones."""
    values, lines = parse_settings(text, path)
    return _parse(Suite, lines, values)


class QualityConfig(ConfigModel):
    """Everything that decides a quality report, apart from the data.

    Attributes:
        minimum_rows: rows below which a required table blocks.
        minimum_cell_count: patients below whom a level is pooled with others, and a count is a small cell.
        max_staleness_days: days within which a row must arrive, and which the newest record may be old.
        refresh: `none` in a partition whose cohort file says that no new data are expected.
        agreed: what a cohort file changed, in words, for the report.
    """

    block_below_score: float = Field(ge=0, le=1)
    minimum_rows: int = Field(ge=1)
    minimum_cell_count: int = Field(default=5, ge=1)
    dimensions: dict[DimensionName, Dimension]
    max_staleness_days: int = Field(gt=0)
    suite_status: SuiteStatus = SuiteStatus()
    suites: tuple[Suite, ...] = Field(min_length=1)
    refresh: Refresh = "continuous"
    agreed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if missing := set(DIMENSIONS) - set(self.dimensions):
            raise ValueError(f"dimensions without a weight: {', '.join(sorted(missing))}")
        if abs(sum(d.weight for d in self.dimensions.values()) - 1) > 1e-9:
            raise ValueError("the weights of the dimensions do not add up to 1")
        return self

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read the settings, and each named suite from `expectations/` beside the file.

        Raises:
            QualityConfigError: unreadable file, unknown setting, suite, table or column.
        """
        with _refusing():
            settings, lines = read_settings(path)
        if partition := sorted(settings.keys() & {"refresh", "agreed"}):
            raise QualityConfigError(f"{path}: {', '.join(partition)}: belongs in a cohort file")
        names = settings.pop("suites", [])
        suites = [Suite.from_yaml(path.parent / "expectations" / f"{name}.yaml") for name in names]
        return _parse(cls, lines, {**settings, "suites": suites})

    @property
    def asked(self) -> tuple[DimensionName, ...]:
        """The dimensions that make the score."""
        return tuple(d for d in DIMENSIONS if d != "timeliness" or self.refresh != "none")

    def under(self, refresh: Refresh, terms: QualityTerms | None) -> Self:
        """These settings as a cohort file changes them; `agreed` says each change."""
        changed: dict[str, Any] = {}
        dimensions, agreed = dict(self.dimensions), []
        if terms:
            changed = terms.model_dump(include={"block_below_score", "max_staleness_days"}, exclude_none=True)
            agreed += [(name, value, getattr(self, name)) for name, value in changed.items()]
            for name, their in terms.dimensions.items():
                values = their.model_dump(exclude_none=True)
                dimensions[name] = self.dimensions[name].model_copy(update=values)
                agreed += [(f"{name} {k}", v, getattr(self.dimensions[name], k)) for k, v in values.items()]
        differences = [
            f"{what} {new:g} instead of {old:g}: {terms.reason}" for what, new, old in agreed if terms
        ]
        if refresh == "none":
            differences.append(NOT_REFRESHED)
        update = {**changed, "dimensions": dimensions, "refresh": refresh, "agreed": tuple(differences)}
        return self.model_copy(update=update)


def condition_columns(condition: str) -> tuple[str, ...]:
    """Columns that a condition in SQL reads; ValueError when it is none."""
    try:
        return tuple(sorted(set(pl.sql_expr(condition).meta.root_names())))
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{condition!r} is not a condition in SQL") from error


def _in_contract(reference: str) -> bool:
    table, _, name = reference.partition(".")
    return table in RAW_TABLES and any(c.name == name for c in columns(TABLES[table]))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ConfigFileError as error:
        raise QualityConfigError(str(error)) from error


def _parse(model: type[M], lines: Lines, values: dict[str, Any]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise QualityConfigError("; ".join(lines.mistakes(error))) from error
