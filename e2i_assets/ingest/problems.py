"""What is wrong with incoming data, said so that a person can mend it: where, which rule, how many."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from e2i_assets.contracts.base import column_of, columns, key_of
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.rejected import REJECTED_SCHEMA
from e2i_assets.contracts.rules import FIRST_DAY, LAST_DAY, Rule, row_rules
from e2i_assets.contracts.tables import TABLES
from e2i_assets.errors import E2IError
from e2i_assets.ingest.load import ROW, Write

ROWS_NAMED = 5
"""How many row numbers a problem lists; the count tells the rest."""
NO_PARTITION = "is no brand"
NEW_PARTITION = (
    "A brand and indication becomes a partition by its cohort file, config/cohorts/<partition>.yaml: copy "
    "one of those and change it, or have one drafted with `e2i data import SOURCE --suggest --output "
    "draft/mapping.yaml`; then load again."
)


@dataclass(frozen=True)
class Problem:
    """One broken rule: `origin` is the file or generator, `rows` the first offending row numbers (from 1)."""

    origin: str
    table: str
    column: str | None
    rule: str
    count: int
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{self.origin}: table {self.table}" + (f", column {self.column}" if self.column else "")
        named = ", ".join(str(row) for row in self.rows)
        more = ", …" if self.count > len(self.rows) else ""
        return f"{where}: {self.rule}" + (f" ({self.count} rows: {named}{more})" if self.rows else "")


class LoadError(E2IError, ValueError):
    """The data cannot be loaded; nothing of it was written. Carries every problem found."""

    code = "load"
    next_step = "Correct the source, or its mapping, and load again."
    exit_code = 1

    def __init__(self, problems: Sequence[Problem], note: str = "") -> None:
        self.problems = tuple(problems)
        new = NEW_PARTITION if any(p.rule.startswith(NO_PARTITION) for p in self.problems) else ""
        lines = [f"  - {problem}" for problem in self.problems]
        super().__init__("\n".join(["nothing was loaded:", *lines, *filter(None, (note, new))]))


def structural_problems(table: str, frame: pl.DataFrame, origin: str) -> list[Problem]:
    """Columns that are missing, unknown or of another type; no row of such a frame can be loaded."""
    wanted = {c.name: c.dtype for c in columns(TABLES[table])}
    problems = [Problem(origin, table, n, "is missing", 0) for n in wanted if n not in frame.columns]
    problems += [
        Problem(origin, table, n, "is not in the contract", 0)
        for n in frame.columns
        if n not in wanted and n != ROW
    ]
    problems += [
        Problem(origin, table, n, f"must be {dtype}, is {frame.schema[n]}", 0)
        for n, dtype in wanted.items()
        if n in frame.columns and frame.schema[n] != dtype
    ]
    return problems


def rules_for(table: str, partitions: Collection[PartitionKey]) -> tuple[Rule, ...]:
    """The rules for a single row of a table: its contract's, and that its brand belongs to a partition.

    Args:
        partitions: known pairs of brand and indication; a row of none would belong to no partition.
    """
    return (*row_rules(table), *([_partition_rule(table, partitions)] if _has_brand(table) else []))


def _partition_rule(table: str, partitions: Collection[PartitionKey]) -> Rule:
    names = [c.name for c in columns(TABLES[table])]
    if "indication" in names:
        needs: tuple[str, ...] = ("brand", "indication")
        partition_names = sorted(f"{brand}/{indication}" for brand, indication in partitions)
        what = f"{NO_PARTITION} and indication of config/cohorts"
    else:
        needs, partition_names = ("brand",), sorted({brand for brand, _ in partitions})
        what = f"{NO_PARTITION} of config/cohorts"
    broken = ~pl.concat_str(needs, separator="/").is_in(partition_names)
    return Rule("partition", "brand", f"{what} ({', '.join(partition_names)})", broken, needs)


def _has_brand(table: str) -> bool:
    """Whether rows of the table name a partition of ours (a prescription may name a competitor's brand)."""
    try:
        return column_of(TABLES[table], "brand").role == "id"
    except KeyError:
        return False


@dataclass(frozen=True)
class Judged:
    """A write after its rows were held against the rules.

    Attributes:
        good: rows that keep every rule.
        rejected: the others as `REJECTED_SCHEMA`, each with the first rule that it breaks.
        unmet: positions of the rules that no row keeps.
    """

    good: pl.DataFrame
    rejected: pl.DataFrame
    unmet: frozenset[int]


def judge(table: str, write: Write, rules: Sequence[Rule]) -> Judged:
    """Part the rows that keep every rule from those that do not."""
    refused = _refused(write)
    broken = write.frame.select(
        rule.broken.fill_null(value=False).alias(str(i)) for i, rule in enumerate(rules)
    )
    which = broken.select(
        pl.coalesce(pl.when(pl.col(name)).then(pl.lit(int(name))) for name in broken.columns)
    ).to_series()
    bad = which.is_not_null()
    if not bad.any():
        return Judged(write.frame, refused, frozenset())
    rejected = write.frame.filter(bad)
    chosen = [rules[i] for i in which.drop_nulls()]
    broken_rows = pl.DataFrame(
        {
            "row_number": rejected.get_column(ROW),
            "key": rejected.select(_visible(pl.col(key_of(TABLES[table])))).to_series(),
            "column_name": [rule.column for rule in chosen],
            "rule": [rule.name for rule in chosen],
            "reason": [rule.text for rule in chosen],
            "content": [content(row) for row in _plain(rejected.drop(ROW)).iter_rows(named=True)],
        },
        schema=REJECTED_SCHEMA,
    )
    unmet = (i for i in range(len(rules)) if refused.is_empty() and broken.get_column(str(i)).all())
    return Judged(write.frame.filter(~bad), pl.concat([refused, broken_rows]), frozenset(unmet))


def _refused(write: Write) -> pl.DataFrame:
    """What the source refused, with content that PostgreSQL can hold."""
    texts = [content(json.loads(text)) for text in write.refused.get_column("content")]
    return write.refused.with_columns(pl.Series("content", texts, dtype=pl.String), _visible(pl.col("key")))


def _visible(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all("\0", r"\u0000", literal=True)


def content(row: dict[str, Any]) -> str:
    """A row as JSON that PostgreSQL can hold: NUL characters are written out, NaN and infinities are text."""
    return json.dumps(_jsonable(row))


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_jsonable(str(name)): _jsonable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, str):
        return value.replace("\0", r"\u0000")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Dates and times as text; those that Python cannot hold as the number that Polars holds."""
    return frame.with_columns(
        pl.coalesce(
            pl.when(pl.col(name).cast(pl.Date).is_between(FIRST_DAY, LAST_DAY))
            .then(pl.col(name))
            .cast(pl.String),
            pl.col(name).to_physical().cast(pl.String),
        )
        for name, dtype in frame.schema.items()
        if dtype.is_temporal()
    )
