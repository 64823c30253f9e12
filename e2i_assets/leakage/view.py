"""One training frame as every rule sees it: its rows, what is declared of them, and codings made once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from e2i_assets.contracts.variables import Variable
from e2i_assets.leakage import name_rules
from e2i_assets.leakage.binning import Coded, as_numbers, code, is_dated
from e2i_assets.leakage.dates import Dates
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.univariate import (
    AUC_LIMIT,
    Fit,
    Outcome,
    TargetError,
    as_outcome,
    auc,
    cells_of,
    fit,
    log_odds,
)

_ONE_EACH = ("target", "plausibility")
"""Kinds of which a column has one finding at most, that of the first rule that accuses it."""


@dataclass(frozen=True)
class Column:
    """One feature of the rows with a target.

    Attributes:
        numbers: its values as float64 with NaN for missing; None when it is text.
        fitted: what it tells of the target, alone and out of fold.
        dated: whether the numbers are days of dates.
    """

    name: str
    coded: Coded
    numbers: np.ndarray | None
    fitted: Fit
    dated: bool = False

    @property
    def strength(self) -> float:
        """Out-of-fold AUC or correlation of this column alone."""
        return self.fitted.strength

    @property
    def strongest(self) -> float:
        """The same of the class that it tells best."""
        return float(self.fitted.strengths.max())


@dataclass(frozen=True)
class Plausible:
    """The highest AUC (of several classes one against the rest) and R² that features together may have."""

    max_auc: float = 0.95
    max_r2: float = 0.90

    def limit(self, outcome: Outcome) -> float:
        """That of this kind of target."""
        return self.max_r2 if outcome.kind == "regression" else self.max_auc


@dataclass
class View:
    """What a rule may look at.

    Attributes:
        train: one row per example.
        features: its columns but target, id and index date.
        contract: by column what is declared; empty without a contract.
        is_whole: the contract speaks of every column, and is no mere list of those known only afterwards.
        splits: name to frame, `train` first and perhaps alone.
        plausible: how well all features together may tell the target.
        equal_rows: rows of different ids may be equal between splits.
        regression: whether the target is a number that is predicted; None where its values tell.
        findings: those of the rounds before.
    """

    train: pd.DataFrame
    target: str
    id_column: str | None
    index_date: Dates | None
    features: tuple[str, ...]
    contract: Mapping[str, Variable]
    is_whole: bool
    splits: Mapping[str, pd.DataFrame]
    plausible: Plausible
    equal_rows: bool
    regression: bool | None = None
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """The findings of a round."""
        reported = {(f.kind, f.column) for f in self.findings}
        for finding in findings:
            key = (finding.kind, finding.column)
            if finding.kind not in _ONE_EACH or key not in reported:
                reported.add(key)
                self.findings.append(finding)
        self.__dict__.pop("others", None)  # of the columns that are left

    @cached_property
    def early(self) -> frozenset[str]:
        """Features that the contract says are known on the index date: their names are not held against
        them, their figures are."""
        early = (name for name, variable in self.contract.items() if variable.known_at_index)
        return frozenset(self.features).intersection(early)

    @cached_property
    def undeclared(self) -> tuple[str, ...]:
        """Features of which a whole contract does not say when they are known."""
        declared = {name for name, variable in self.contract.items() if variable.declared}
        return tuple(name for name in self.features if self.is_whole and name not in declared)

    @property
    def asked(self) -> frozenset[str] | None:
        """Features of which a contract could say that they are known on the index date, and does not; None
        where there is no whole contract, so that nobody can be asked."""
        return frozenset(self.features) - self.early if self.is_whole else None

    @cached_property
    def unjudged(self) -> tuple[str, ...]:
        """Features without any value."""
        return tuple(name for name in self.features if not self.train[name].notna().any())

    @cached_property
    def outcome(self) -> Outcome:
        """The target of the rows that have one; rows of one id stay in one fold, so that a patient's
        constants cannot be learned by heart.

        Raises:
            TargetError: nothing can be compared with the target, or no feature has a value.
        """
        if len(self.unjudged) == len(self.features):
            raise TargetError("nothing_to_judge", "no feature has a value, so nothing can be audited")
        known = self.train[self.target].notna().to_numpy()
        groups = self.train.loc[known, self.id_column] if self.id_column else None
        return as_outcome(self.train.loc[known, self.target], groups, self.regression)

    @cached_property
    def columns(self) -> list[Column]:
        """All features; raises as `outcome` does."""
        outcome, known = self.outcome, self.train[self.target].notna().to_numpy()
        return [_column(self.train.loc[known, name], outcome) for name in self.features]

    @property
    def accused(self) -> list[Column]:
        """Columns with a finding of kind `target`."""
        names = {f.column for f in self.findings if f.kind == "target"}
        return [c for c in self.columns if c.name in names]

    @property
    def left(self) -> list[Column]:
        """Columns that no round before has accused of telling the target."""
        names = {f.column for f in self.findings if f.kind == "target"}
        return [c for c in self.columns if c.name not in names]

    @property
    def unsuspected(self) -> list[Column]:
        """Columns with values and without a finding of any kind."""
        names = {f.column for f in self.findings}.union(self.unjudged)
        return [c for c in self.columns if c.name not in names]

    @cached_property
    def others(self) -> tuple[float, float]:
        """AUC of all unsuspicious columns of those left together, and without those of weak names; of two
        classes only. Naive Bayes, out of fold like each of its columns."""
        alone = np.zeros(len(self.outcome.folds))
        weak = alone.copy()
        for column in self.left:
            if column.strength <= AUC_LIMIT or name_rules.is_history(column.name):
                part = weak if name_rules.is_weak(column.name) else alone
                part += log_odds(column.fitted.means[:, 0])[cells_of(column.coded, self.outcome)]
        event, ones = self.outcome.columns[:, 0], np.ones(len(alone))
        return auc(alone + weak, event, ones), auc(alone, event, ones)


def _column(column: pd.Series, outcome: Outcome) -> Column:
    numbers = as_numbers(column)
    coded = code(column, numbers)
    dated = numbers is not None and is_dated(column)
    return Column(str(column.name), coded, numbers, fit(coded, outcome), dated)
