"""Two bit masks for each row, of the rules that it fails and of those that it has no value for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import polars as pl

from e2i_assets.cohorts.attrition import MaskCount
from e2i_assets.cohorts.criteria import Rule

if TYPE_CHECKING:
    import ibis.expr.types as ir

FAILED = "__failed__"
UNKNOWN = "__unknown__"


def with_masks(table: ir.Table, rules: Sequence[Rule], keep: Sequence[str]) -> ir.Table:
    """The kept columns and the two masks.

    Two selects, so that an engine may compute the booleans side by side before it packs them.
    """
    flags = table.select(
        *keep,
        **{f"{FAILED}{i}": rule.failed for i, rule in enumerate(rules)},
        **{f"{UNKNOWN}{i}": rule.unknown for i, rule in enumerate(rules)},
    )
    masks = {name: _packed([flags[f"{name}{i}"] for i in range(len(rules))]) for name in (FAILED, UNKNOWN)}
    return flags.select(*keep, **masks)


def tally(masked: ir.Table) -> ir.Table:
    """Rows per pair of masks: the one aggregation behind every attrition table."""
    return masked.group_by(FAILED, UNKNOWN).aggregate(rows=masked.count())


def mask_counts(tallied: pl.DataFrame) -> list[MaskCount]:
    """The fetched rows of `tally`."""
    return [MaskCount(*row) for row in tallied.select(FAILED, UNKNOWN, "rows").iter_rows()]


def _packed(flags: Sequence[Any]) -> Any:
    """Booleans as the bits of the narrowest integer that holds them; narrow masks are quick to count."""
    import ibis

    width = next(f"int{bits}" for bits in (16, 32, 64) if len(flags) < bits)
    zero = ibis.literal(0, width)
    return reduce(or_, (flag.ifelse(ibis.literal(1 << i, width), zero) for i, flag in enumerate(flags)))
