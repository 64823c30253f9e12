"""Attrition: two bit masks per row, counted once, from which the table of any order of rules follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl

from e2i_assets.cohorts.config import CohortConfig, Value
from e2i_assets.cohorts.criteria import Rule, RuleKind

if TYPE_CHECKING:
    import ibis.expr.types as ir

FAILED = "__failed__"
UNKNOWN = "__unknown__"


@dataclass(frozen=True)
class EligibilityLogEntry:
    """What one rule did to the patients who reached it.

    Attributes:
        removed_count: rows removed here.
        null_count: rows that reached the rule and have no value for it; an inclusion or a window removes
            them (they are part of `removed_count`), an exclusion keeps them.
        remaining_count: rows left after it.
    """

    criterion_order: int
    criterion_name: str
    criterion_type: RuleKind
    operator: str
    value: Value | None
    removed_count: int
    null_count: int
    remaining_count: int
    description: str
    clinical_rationale: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class CohortResult:
    """Outcome of one construction; `status` is `empty` when nobody is eligible (a gate judges that)."""

    cohort_id: str
    config_hash: str
    status: Literal["success", "empty"]
    total_count: int
    eligible_count: int
    excluded_count: int
    exclusion_rate: float
    eligibility_log: tuple[EligibilityLogEntry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "eligibility_log": [entry.to_dict() for entry in self.eligibility_log]}

    def attrition_markdown(self) -> str:
        """The attrition as a Markdown table, one row per rule, for people."""
        lines = [
            "| # | Rule | Type | Condition | Removed | No value | Remaining |",
            "|--:|---|---|---|--:|--:|--:|",
            f"| 0 | All journeys | | | | | {self.total_count:,} |",
        ]
        for e in self.eligibility_log:
            rule, condition = (_cell(text) for text in (e.description or e.criterion_name, _condition(e)))
            counts = f"{e.removed_count:,} | {e.null_count:,} | {e.remaining_count:,}"
            lines.append(f"| {e.criterion_order} | {rule} | {e.criterion_type} | `{condition}` | {counts} |")
        return "\n".join(lines)


@dataclass(frozen=True)
class MaskCounts:
    """How many rows carry each pair of masks; bit i belongs to rule i. Three arrays of one length."""

    failed: np.ndarray
    unknown: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, tallied: pl.DataFrame) -> Self:
        """From the fetched rows of `tally`."""
        return cls(*(tallied[name].cast(pl.Int64).to_numpy() for name in (FAILED, UNKNOWN, "rows")))

    @property
    def total(self) -> int:
        """Rows of the table."""
        return int(self.rows.sum())

    def steps(self, order: Sequence[int]) -> list[tuple[int, int, int]]:
        """Removed, unknown and remaining rows when the rules apply in the given order."""
        reached = np.ones(len(self.rows), dtype=bool)
        steps = []
        for bit in order:
            fails = (self.failed >> bit) & 1 == 1
            unknown = (self.unknown >> bit) & 1 == 1
            removed = self.rows[reached & fails].sum()
            missing = self.rows[reached & unknown].sum()
            reached &= ~fails
            steps.append((int(removed), int(missing), int(self.rows[reached].sum())))
        return steps


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


def result_of(config: CohortConfig, rules: Sequence[Rule], counts: MaskCounts) -> CohortResult:
    """The result in the definition's own order of rules."""
    log = tuple(
        EligibilityLogEntry(
            order, rule.name, rule.kind, rule.operator, rule.value, removed, unknown, remaining,
            rule.description, rule.clinical_rationale,
        )
        for order, (rule, (removed, unknown, remaining)) in enumerate(
            zip(rules, counts.steps(range(len(rules))), strict=True), start=1
        )
    )  # fmt: skip
    total, eligible = counts.total, log[-1].remaining_count
    return CohortResult(
        cohort_id=config.cohort_id,
        config_hash=config.config_hash,
        status="success" if eligible else "empty",
        total_count=total,
        eligible_count=eligible,
        excluded_count=total - eligible,
        exclusion_rate=(total - eligible) / total if total else 0.0,
        eligibility_log=log,
    )


def _packed(flags: Sequence[Any]) -> Any:
    """Booleans as the bits of the narrowest integer that holds them; narrow masks are quick to count."""
    import ibis

    width = next(f"int{bits}" for bits in (16, 32, 64) if len(flags) < bits)
    zero = ibis.literal(0, width)
    return reduce(or_, (flag.ifelse(ibis.literal(1 << i, width), zero) for i, flag in enumerate(flags)))


def _condition(entry: EligibilityLogEntry) -> str:
    if entry.operator == "is_present":
        return f"{entry.value} is present"
    return f"{entry.criterion_name} {entry.operator} {entry.value}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")
