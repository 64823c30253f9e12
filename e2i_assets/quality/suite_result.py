"""The verdict of one expectation suite, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

Status = Literal["passed", "warning", "failed", "error", "empty"]


@dataclass(frozen=True)
class FailedExpectation:
    """A rule that does not hold; `unexpected_count` rows break it (None for a rule about the table)."""

    expectation: str
    column: str
    unexpected_count: int | None
    why: str


@dataclass(frozen=True)
class SuiteResult:
    """The verdict of one suite.

    Attributes:
        evaluated: rules that judged at least one value; a rule over an all-null column judges nothing and
            counts neither for nor against.
        status: by the success rate; `failed` when nothing was evaluated; `error` when a rule could not be
            run (`error` says what was raised); `empty` for a table without rows.
        page: the suite's Data Docs as HTML, empty when it was not run; no part of the record.
    """

    suite: str
    table: str
    evaluated: int
    successful: int
    failed: tuple[FailedExpectation, ...]
    success_rate: float
    status: Status
    not_evaluated: tuple[str, ...] = ()
    error: str | None = None
    page: Annotated[str, Field(exclude=True)] = field(default="", repr=False, compare=False)
