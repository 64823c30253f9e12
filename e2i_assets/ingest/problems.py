"""What is wrong with incoming data, said so that a person can mend it: where, which rule, how many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from e2i_assets.contracts.base import Table, column_of, columns
from e2i_assets.contracts.rules import row_rules
from e2i_assets.contracts.tables import TABLES

ROWS_NAMED = 5
"""How many row numbers a problem lists; the count tells the rest."""


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


class LoadError(ValueError):
    """The data cannot be loaded; nothing of it was written. Carries every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("nothing was loaded:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


def contract_problems(table: str, frame: pl.DataFrame, origin: str) -> list[Problem]:
    """Every broken rule of the table's contract in `frame`: columns, types, nulls, keys, ranges, row rules.

    Values never appear in a problem: they may be a patient's.
    """
    contract = TABLES[table]
    structural = _structural(table, contract, frame, origin)
    if structural:
        return structural
    if frame.is_empty():
        return [Problem(origin, table, None, "is empty", 0)]
    numbered = frame.with_row_index("_row", offset=1)
    rules = [(rule.column, rule.text, rule.broken) for rule in row_rules(table)]
    for c in columns(contract):
        value = pl.col(c.name)
        if c.unique:
            rules.append((c.name, "must be unique", value.is_duplicated() & value.is_not_null()))
    return [p for name, rule, broken in rules if (p := _broken(origin, table, name, rule, numbered, broken))]


def _structural(table: str, contract: type[Table], frame: pl.DataFrame, origin: str) -> list[Problem]:
    wanted = {c.name: c.dtype for c in columns(contract)}
    found = [Problem(origin, table, n, "is missing", 0) for n in wanted if n not in frame.columns]
    found += [
        Problem(origin, table, n, "is not in the contract", 0) for n in frame.columns if n not in wanted
    ]
    found += [
        Problem(origin, table, n, f"must be {dtype}, is {frame.schema[n]}", 0)
        for n, dtype in wanted.items()
        if n in frame.columns and frame.schema[n] != dtype
    ]
    return found


def programme_problems(
    table: str, frame: pl.DataFrame, origin: str, programmes: Collection[tuple[str, str]]
) -> list[Problem]:
    """Rows whose brand (and indication) no cohort file describes; they would belong to no partition."""
    numbered = frame.with_row_index("_row", offset=1)
    if "indication" in frame.columns:
        known = [f"{brand}/{indication}" for brand, indication in programmes]
        broken = ~pl.concat_str("brand", "indication", separator="/").is_in(known)
        rule = "is no brand and indication of config/cohorts"
    else:
        known = [brand for brand, _ in programmes]
        broken = ~pl.col("brand").is_in(known)
        rule = "is no brand of config/cohorts"
    problem = _broken(origin, table, "brand", f"{rule} ({', '.join(sorted(set(known)))})", numbered, broken)
    return [problem] if problem else []


def reference_problems(
    table: str, frame: pl.DataFrame, origin: str, known: Mapping[str, pl.Series]
) -> list[Problem]:
    """Rows that point to a parent that is neither in the load nor in the warehouse.

    Args:
        known: `table.column` of each parent to all of its keys.
    """
    numbered = frame.with_row_index("_row", offset=1)
    found = []
    for c in columns(TABLES[table]):
        if c.references is None:
            continue
        dangling = pl.col(c.name).is_not_null() & ~pl.col(c.name).is_in(known[c.references].implode())
        problem = _broken(origin, table, c.name, f"points to no row of {c.references}", numbered, dangling)
        found += [problem] if problem else []
    return found


def _broken(
    origin: str, table: str, column: str | None, rule: str, numbered: pl.DataFrame, broken: pl.Expr
) -> Problem | None:
    rows = numbered.filter(broken.fill_null(value=False)).get_column("_row")
    return (
        Problem(origin, table, column, rule, len(rows), tuple(rows.head(ROWS_NAMED))) if len(rows) else None
    )


def has_brand(table: str) -> bool:
    """Whether rows of the table name a programme of ours (a prescription may name a competitor's brand)."""
    try:
        return column_of(TABLES[table], "brand").role == "id"
    except KeyError:
        return False
