"""What a leakage audit says: findings with their statistic, threshold and evidence in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from e2i_assets.contracts.markdown import plain, table
from e2i_assets.errors import CodedError

Kind = Literal["temporal", "target", "contamination", "plausibility"]


class LeakageError(CodedError, ValueError):
    """The frame cannot be audited, so nothing can be said of leakage; says what is wrong with it."""

    next_steps = {  # noqa: RUF012 -- typed in the base
        "empty_input": "Give the audit rows: look at what cohort and splits leave over.",
        "missing_column": "Name columns that the frame has, or add the missing one.",
        "missing_value": "Fill the column in every row, or leave these rows out.",
        "not_a_date": "Name a column of dates that can be read in every row.",
        "too_few_rows": "Load more rows, or widen the cohort: the audit needs 30 with a target, 5 of them "
        "outside the largest class.",
        "one_class": "Take rows with at least two different targets, or another target.",
        "nothing_to_judge": "Give the frame features that have values.",
        "contract": "Name the columns known only afterwards, or give each column its role and available_at.",
    }


@dataclass(frozen=True)
class Finding:
    """One leak, or of kind `plausibility` a question that the contract has to answer.

    Attributes:
        column: the feature; for contamination the two splits.
        statistic: the figure that was compared with `threshold`, in the unit that `evidence` names.
    """

    kind: Kind
    column: str
    statistic: float
    threshold: float
    evidence: str


@dataclass(frozen=True)
class Limit:
    """What a rule could not decide, in words."""

    text: str


@dataclass(frozen=True)
class Examined:
    """How many columns, or pairs of splits, a rule has looked at; `kind` as in `LeakageReport.examined`."""

    kind: str
    number: int


Note = Finding | Limit | Examined
"""What a rule says of a frame."""


@dataclass(frozen=True)
class LeakageReport:
    """Everything found, and how much was looked at.

    Attributes:
        examined: `availability` (columns judged by contract), `temporal` (date columns compared with the
            index date), `target` (columns compared with the target), `contamination` (pairs of splits). A
            zero says that the kind was not looked at: an audit without findings is no proof for it.
        unjudged: features without any value, of which nothing can be said.
        limits: what could not be decided, in words: between coarse splits a copy with a changed value is like
            many another row; dates without an index date are early or late.
        undeclared: features of which the contract does not say when they are known; none without a contract.
    """

    target: str
    rows: int
    findings: tuple[Finding, ...]
    examined: dict[str, int]
    unjudged: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """No finding."""
        return not self.findings

    @property
    def not_declared(self) -> str:
        """The features that nobody has declared, in words; empty when there are none."""
        if not self.undeclared:
            return ""
        return (
            f"Not declared: {len(self.undeclared)} features, judged by figures and name; nobody has said "
            f"when these are known: {', '.join(self.undeclared)}"
        )

    def to_markdown(self) -> str:
        """One table of findings, and what was looked at."""
        looked = ", ".join(f"{kind} {n}" for kind, n in self.examined.items())
        lines = [f"**{'no leakage found' if self.ok else 'leakage'}** · examined: {looked}"]
        if self.findings:
            rows = [
                (f.kind, f.column, f"{f.statistic:.3f}", f"{f.threshold:.3f}", f.evidence)
                for f in self.findings
            ]
            lines += ["", table(("kind", "column", "statistic", "threshold", "evidence"), rows)]
        if self.undeclared:
            lines += ["", plain(self.not_declared)]
        if self.limits:
            lines += ["", "Not to be decided:", *(f"- {plain(limit)}" for limit in self.limits)]
        return "\n".join(lines) + "\n"
