"""For each row: which rules it fails, for which it has no value; and how many rows there are of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from e2i_assets.cohorts.attrition import MaskCount
from e2i_assets.cohorts.criteria import Rule

if TYPE_CHECKING:
    import ibis.expr.types as ir

FAILED = "__failed__"
UNKNOWN = "__unknown__"
ROWS = "__rows__"
WIDTHS = ((16, pl.Int16, pl.Int32), (32, pl.Int32, pl.Int64), (64, pl.Int64, pl.Int128))
"""More than the rules that a mask may hold, its type, and the type of two masks side by side."""


def with_flags(table: ir.Table, rules: Sequence[Rule], keep: Sequence[str]) -> ir.Table:
    """The kept columns and the two booleans of each rule, which are never null."""
    failed = {name: rule.failed for name, rule in zip(_names(FAILED, rules), rules, strict=True)}
    unknown = {name: rule.unknown for name, rule in zip(_names(UNKNOWN, rules), rules, strict=True)}
    return table.select(*keep, **failed, **unknown)


def eligible(flagged: ir.Table, rules: Sequence[Rule]) -> ir.Table:
    """The rows that fail no rule."""
    return flagged.filter(~reduce(or_, (flagged[name] for name in _names(FAILED, rules))))


def combinations(flagged: ir.Table, rules: Sequence[Rule]) -> ir.Table:
    """Rows per combination of flags."""
    names = [*_names(FAILED, rules), *_names(UNKNOWN, rules)]
    return flagged.group_by(names).aggregate(**{ROWS: flagged.count()})


def tally(flagged: ir.Table, rules: Sequence[Rule]) -> list[MaskCount]:
    """The combinations, counted where the table lives: the table behind every attrition."""
    counted, half = combinations(flagged, rules).to_polars(), len(rules)
    return [MaskCount(_bits(row[:half]), _bits(row[half:-1]), row[-1]) for row in counted.iter_rows()]


def evaluated(
    flags: pl.LazyFrame, rules: Sequence[Rule], row: str
) -> tuple[np.ndarray[Any, Any], list[MaskCount]]:
    """Numbers of the eligible rows, from the column `row`, and rows per combination of flags, in Polars.

    Polars counts one integer many times faster than many booleans, and a narrow one faster than a wide one.
    """
    bits, half, whole = next(width for width in WIDTHS if len(rules) < width[0])
    failed, unknown = (_packed(_names(kind, rules), half) for kind in (FAILED, UNKNOWN))
    masks = failed.cast(whole) * pl.lit(1 << bits, whole) + unknown
    # Where all columns are conditional expressions, Polars takes no heed of the order of the rows.
    packed = flags.select(row, masks=masks).collect(engine="streaming")
    counts = packed.lazy().group_by("masks").agg(pl.len()).collect(engine="streaming")
    chosen = packed.filter(pl.col("masks") < 1 << bits)[row].to_numpy()
    return chosen, [MaskCount(m >> bits, m % (1 << bits), rows) for m, rows in counts.iter_rows()]


def _names(kind: str, rules: Sequence[Rule]) -> list[str]:
    return [f"{kind}{i}" for i in range(len(rules))]


def _packed(names: Sequence[str], dtype: type[pl.DataType]) -> pl.Expr:
    zero = pl.lit(0, dtype)
    return reduce(or_, (pl.when(n).then(pl.lit(1 << i, dtype)).otherwise(zero) for i, n in enumerate(names)))


def _bits(flags: Sequence[Any]) -> int:
    return sum(1 << i for i, flag in enumerate(flags) if flag)
