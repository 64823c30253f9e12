"""Attrition: how many rows fail which rules, counted once, from which the table of any order follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.criteria import Rule, RuleKind
from e2i_assets.cohorts.criterion import Value
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.contracts.markdown import Written, code, table


@dataclass(frozen=True)
class MaskCount:
    """Rows that fail the same rules and lack a value for the same rules; bit i belongs to rule i + 1."""

    failed: int
    unknown: int
    rows: int


@dataclass(frozen=True)
class EligibilityLogEntry:
    """What one rule did to the patients who reached it.

    Attributes:
        condition: the rule in a few words.
        removed_count: rows removed here.
        null_count: rows that reached the rule and have no value for it; an inclusion or a window removes
            them (they are part of `removed_count`), an exclusion keeps them.
        remaining_count: rows left after it.
        sole_removed_count: rows that this rule alone keeps out, in whatever order: so many more would be
            eligible without it.
    """

    criterion_order: int
    criterion_name: str
    criterion_type: RuleKind
    operator: str
    value: Value | None
    condition: str
    removed_count: int
    null_count: int
    remaining_count: int
    sole_removed_count: int
    description: str
    clinical_rationale: str

    @property
    def label(self) -> str:
        """What to call the rule before people."""
        return self.description or self.condition


@dataclass(frozen=True)
class CohortResult:
    """Outcome of one construction; `status` is `empty` when nobody is eligible (a gate judges that).

    `masks` is the full table of which rules fail together, most rows first; every figure follows from it.
    """

    cohort_id: str
    config_hash: str
    status: Literal["success", "empty"]
    total_count: int
    eligible_count: int
    excluded_count: int
    exclusion_rate: float
    eligibility_log: tuple[EligibilityLogEntry, ...]
    masks: tuple[MaskCount, ...]

    def in_order(self, first: Sequence[int]) -> tuple[EligibilityLogEntry, ...]:
        """The attrition with these rules first, by `criterion_order`; the others follow as defined.

        Entries keep the `criterion_order` of the definition.

        Raises:
            CohortError: CC_004 for a number that is no rule, or comes twice.
        """
        self._require_rules(first)
        rest = [e.criterion_order for e in self.eligibility_log if e.criterion_order not in first]
        order = [*first, *rest]
        return tuple(
            replace(
                self.eligibility_log[number - 1],
                removed_count=removed,
                null_count=unknown,
                remaining_count=remaining,
            )
            for number, (removed, unknown, remaining) in zip(order, _steps(self.masks, order), strict=True)
        )

    def eligible_without(self, dropped: Collection[int]) -> int:
        """How many would be eligible if these rules, by `criterion_order`, were not there.

        Raises:
            CohortError: CC_004 for a number that is no rule, or comes twice.
        """
        self._require_rules(dropped)
        remaining = ~sum(1 << (number - 1) for number in dropped)
        return sum(mask.rows for mask in self.masks if not mask.failed & remaining)

    def failing_together(self) -> tuple[tuple[tuple[int, ...], tuple[int, ...], int], ...]:
        """The full table: rules failed, rules without a value (both by `criterion_order`), and rows."""
        return tuple((_numbers(m.failed), _numbers(m.unknown), m.rows) for m in self.masks)

    def attrition_markdown(self, cells: Cells = EXACT) -> str:
        """The attrition as a Markdown table, one row per rule, for people."""
        number, figures = Written("#"), ("Removed", "No value", "Remaining", "Removed by it alone")
        rows: list[tuple[str, ...]] = [
            ("0", "All journeys", "", "", "", "", Written(cells.text(self.total_count)), "")
        ]
        for e in self.eligibility_log:
            counts = (e.removed_count, e.null_count, e.remaining_count, e.sole_removed_count)
            rule = (str(e.criterion_order), e.description or e.criterion_name, e.criterion_type)
            rows.append((*rule, code(e.condition), *(Written(cells.text(count)) for count in counts)))
        return table((number, "Rule", "Type", "Condition", *figures), rows, right=(number, *figures))

    def _require_rules(self, numbers: Collection[int]) -> None:
        wrong = sorted({n for n in numbers if not 1 <= n <= len(self.eligibility_log)})
        if wrong or len(set(numbers)) < len(numbers):
            raise CohortError(
                "CC_004",
                f"rules {list(numbers)}: give each at most once, by its number from 1 to "
                f"{len(self.eligibility_log)}",
            )


def result_of(config: CohortConfig, rules: Sequence[Rule], masks: Sequence[MaskCount]) -> CohortResult:
    """The result in the definition's own order of rules."""
    masks = tuple(sorted(masks, key=lambda m: (-m.rows, m.failed, m.unknown)))
    log = tuple(
        EligibilityLogEntry(
            order, rule.name, rule.kind, rule.operator, rule.value, rule.condition, removed, unknown,
            remaining, sum(m.rows for m in masks if m.failed == 1 << (order - 1)), rule.description,
            rule.clinical_rationale,
        )
        for order, (rule, (removed, unknown, remaining)) in enumerate(
            zip(rules, _steps(masks, range(1, len(rules) + 1)), strict=True), start=1
        )
    )  # fmt: skip
    total, eligible = sum(m.rows for m in masks), log[-1].remaining_count
    return CohortResult(
        cohort_id=config.cohort_id,
        config_hash=config.config_hash,
        status="success" if eligible else "empty",
        total_count=total,
        eligible_count=eligible,
        excluded_count=total - eligible,
        exclusion_rate=(total - eligible) / total if total else 0.0,
        eligibility_log=log,
        masks=masks,
    )


def _steps(masks: Sequence[MaskCount], order: Sequence[int]) -> list[tuple[int, int, int]]:
    """Removed, unknown and remaining rows when the rules apply in the given order."""
    reached, steps = list(masks), []
    for number in order:
        bit = 1 << (number - 1)
        left = [m for m in reached if not m.failed & bit]
        remaining = sum(m.rows for m in left)
        unknown = sum(m.rows for m in reached if m.unknown & bit)
        steps.append((sum(m.rows for m in reached) - remaining, unknown, remaining))
        reached = left
    return steps


def _numbers(mask: int) -> tuple[int, ...]:
    return tuple(i + 1 for i in range(mask.bit_length()) if mask >> i & 1)
