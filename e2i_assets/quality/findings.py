"""What quality control found out about one partition's raw extracts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from e2i_assets.quality.dimensions import TableQuality
from e2i_assets.quality.schema import MISSING, WRONG_TYPE, SchemaResult
from e2i_assets.quality.suite_result import SuiteResult

Reason = Literal[
    "missing_table", "unknown_table", "empty_table", "too_few_rows", "all_null", "schema", "date",
    "dimension", "score", "suite", "suite_error",
]  # fmt: skip

_UNGRADED = ("missing_table", "empty_table", "too_few_rows", "all_null")
UNUSABLE = (f":{MISSING}", f":{WRONG_TYPE}", ":all_null")
"""Ends of the schema rules by which a column cannot be graded."""


@dataclass(frozen=True)
class Blocker:
    """One reason why the data may not be used, and what to do about it."""

    reason: Reason
    table: str
    rule: str
    message: str


@dataclass(frozen=True)
class QCFindings:
    """The verdict on one partition's raw extracts, with everything it rests on.

    Attributes:
        status: `failed` with any blocker; `warning` when something is below its threshold, broken or empty
            without blocking; else `passed`.
        score: the guide's weighted score, 0 to 1.
        dimensions: each dimension over all tables; None where no table could be graded.
        lowest_dimension: the dimension with the lowest grade; one that no table could be graded on adds
            nothing to the score, and is lower than any other.
        fix_first: one sentence, the most useful next step.
        raw_versions: table to data version, as given by the caller.
        agreed: what the cohort file asks otherwise than other partitions, with its reason.
        not_collected: columns by table that no source brings, so that they are not graded.
    """

    status: Literal["passed", "warning", "failed"]
    score: float
    score_threshold: float
    dimensions: dict[str, float | None]
    tables: tuple[TableQuality, ...]
    schema: tuple[SchemaResult, ...]
    suites: tuple[SuiteResult, ...]
    lowest_dimension: str
    fix_first: str
    blockers: tuple[Blocker, ...]
    warnings: tuple[str, ...]
    table_rows: dict[str, int]
    raw_versions: dict[str, str]
    agreed: tuple[str, ...] = ()
    not_collected: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the data may be used."""
        return not self.blockers

    @property
    def ungraded(self) -> tuple[Blocker, ...]:
        """Blockers that kept a part of the contract from being graded at all."""
        return tuple(b for b in self.blockers if b.reason in _UNGRADED or b.rule.endswith(UNUSABLE))
