"""Whether a table has drifted from another: each column tested, corrected for their number, and weighed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.json_files import to_json
from e2i_assets.monitoring.clusters import Clusters
from e2i_assets.monitoring.comparison import Compared, Effect, compare
from e2i_assets.monitoring.errors import DriftError
from e2i_assets.monitoring.profile import ReferenceProfile, require_frame
from e2i_assets.monitoring.severity import SEVERITIES, WEIGHTS, severity_of, worst
from e2i_assets.monitoring.statistics import benjamini_hochberg

MINIMUM_ROWS = 30
"""Rows on either side below which nothing is judged (the guide's)."""
_OF_ALPHA = 0.8
"""Part of `alpha` that corrected p-values are held to: they are those of large samples, and approximate."""


@dataclass(frozen=True)
class Finding:
    """One effect of a column, judged among all of the comparison.

    Attributes:
        effect: what was measured.
        p_adjusted: p-value corrected for the number of tests.
        severity: of the effect beyond chance; `none` where it is not significant.
    """

    effect: Effect
    p_adjusted: float
    severity: str


@dataclass(frozen=True)
class ColumnDrift:
    """What has become of one column.

    Attributes:
        name: of the column.
        severity: the worst of its findings, or of what is in `problem`.
        findings: one for each test.
        problem: `absent` or `kind_changed`, which no test can judge; empty otherwise.
        compared: the column on either side; None where there is a problem.
    """

    name: str
    severity: str
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    compared: Compared | None = None

    @property
    def drifted(self) -> bool:
        """Whether it has."""
        return self.severity != "none"

    def finding(self, effect: str) -> Finding | None:
        """The finding of an effect; None where it was not tested."""
        return next((one for one in self.findings if one.effect.name == effect), None)

    @property
    def why(self) -> str:
        """The finding that decided, in words."""
        if self.problem:
            return {"absent": "the column is not there", "kind_changed": "it holds another kind of values"}[
                self.problem
            ]
        deciding = [one for one in self.findings if one.severity == self.severity]
        if not self.drifted or not deciding:
            return "no drift beyond chance that matters"
        return _words(min(deciding, key=lambda one: one.p_adjusted).effect)


@dataclass(frozen=True)
class DriftReport:
    """How a table compares with its reference.

    Attributes:
        reference_rows, current_rows: compared.
        alpha: share of comparisons without drift that may be told as drifted, at most.
        columns: each column of the reference that was asked for.
        added: columns that only the current table has; they are not judged.
    """

    reference_rows: int
    current_rows: int
    alpha: float
    columns: tuple[ColumnDrift, ...]
    added: tuple[str, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether there were rows enough to say anything."""
        return min(self.reference_rows, self.current_rows) >= MINIMUM_ROWS

    @property
    def severity(self) -> str:
        """The worst of the columns'."""
        return worst(column.severity for column in self.columns)

    @property
    def drifted(self) -> bool:
        """Whether any column has drifted."""
        return self.severity != "none"

    @property
    def score(self) -> float:
        """Mean of the columns' severities, none 0 to critical 1."""
        return float(np.mean([WEIGHTS[column.severity] for column in self.columns]))

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Names of those that have drifted, the worst first."""
        drifted = [column for column in self.columns if column.drifted]
        return tuple(c.name for c in sorted(drifted, key=lambda c: -SEVERITIES.index(c.severity)))

    @property
    def summary(self) -> str:
        """The verdict, in a sentence."""
        rows = f"{self.reference_rows:,} rows against {self.current_rows:,}"
        if not self.judged:
            return f"Not judged: {rows}, and {MINIMUM_ROWS} are needed on either side."
        if not self.drifted:
            return f"No drift in {len(self.columns)} columns ({rows})."
        first = self.drifted_columns[0]
        why = next(column.why for column in self.columns if column.name == first)
        return (
            f"Drift, {self.severity}: {len(self.drifted_columns)} of {len(self.columns)} columns ({rows}). "
            f"{first}: {why}."
        )

    def to_frame(self) -> pd.DataFrame:
        """A row per column, the worst first."""
        order = sorted(self.columns, key=lambda c: -SEVERITIES.index(c.severity))
        return pd.DataFrame([_row(column) for column in order])

    def document(self) -> dict[str, Any]:
        """As plain JSON types, with the verdict."""
        return {
            "judged": self.judged, "drifted": self.drifted, "severity": self.severity, "score": self.score,
            "summary": self.summary, "reference_rows": self.reference_rows, "current_rows": self.current_rows,
            "alpha": self.alpha, "added": list(self.added),
            "columns": [
                {
                    "name": c.name, "severity": c.severity, "why": c.why, "problem": c.problem,
                    "new_levels": list(c.compared.new_levels) if c.compared else [],
                    "findings": [to_json(finding) for finding in c.findings],
                }
                for c in self.columns
            ],
        }  # fmt: skip


def detect_drift(
    reference: pd.DataFrame | ReferenceProfile,
    current: pd.DataFrame | ReferenceProfile,
    *,
    columns: Iterable[str] | None = None,
    alpha: float = 0.05,
    clusters: str | None = None,
) -> DriftReport:
    """Tell whether a table has drifted from a reference.

    Each column is compared by the population stability index over bins of the reference with one for missing
    values (tested by chi-square, of a number also for a trend over its bins), a number also by the distance
    of Kolmogorov and Smirnov, and each by its share of missing values and by levels that are new. P-values
    are corrected for all columns and their tests (Benjamini and Hochberg); severity is that of the effect
    beyond what chance gives at these numbers of rows.

    Args:
        reference: what the current table is compared with, or its profile.
        current: the table that may have drifted, or its profile.
        columns: to compare; all of the reference when left out.
        alpha: share of comparisons without drift that may be told as drifted, at most.
        clusters: as of `ReferenceProfile.of`, of each side that is a frame: the column whose value rows share
            that are not independent, such as the patients of a physician. A column in which they are alike
            is then tested as of so many fewer rows. Without it each row counts for itself.

    Raises:
        DriftError: there is nothing to compare, or no such column.
    """
    if not isinstance(alpha, int | float) or not 0 < alpha < 1:
        raise DriftError("bad_alpha", f"alpha is {alpha!r}")
    if columns is not None and not isinstance(columns, Iterable):
        raise DriftError("unknown_column", f"columns is {columns!r}, not a list of names")
    if columns is not None:
        columns = [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))
    was = (
        reference
        if isinstance(reference, ReferenceProfile)
        else ReferenceProfile.of(reference, columns, clusters=clusters)
    )
    now = current if isinstance(current, ReferenceProfile) else _by_name(current)
    names = list(was.columns) if columns is None else [str(name) for name in columns]
    unknown = sorted(set(names) - set(was.columns))
    if unknown:
        raise DriftError("unknown_column", f"the reference has no column {', '.join(unknown)}")
    present = now.columns
    if not any(name in present for name in names):
        raise DriftError("nothing_to_compare", "the two sides have no column in common")
    rows = now.rows if isinstance(now, ReferenceProfile) else len(now)
    if not rows:
        raise DriftError("nothing_to_compare", "the current table has no rows")
    left_over = [name for name in present if name not in (*was.columns, clusters)]
    added = tuple(left_over) if columns is None else ()
    if min(was.rows, rows) < MINIMUM_ROWS:
        return DriftReport(was.rows, rows, alpha, tuple(ColumnDrift(name, "none") for name in names), added)
    sides: Any = now.columns if isinstance(now, ReferenceProfile) else now
    of = Clusters(now, clusters) if clusters is not None and isinstance(now, pd.DataFrame) else None
    compared = {name: compare(was.columns[name], sides[name], of) for name in names if name in present}
    return DriftReport(was.rows, rows, alpha, _judge(names, compared, alpha), added)


def _by_name(frame: pd.DataFrame) -> pd.DataFrame:
    require_frame(frame)
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _judge(names: list[str], compared: dict[str, Compared | None], alpha: float) -> tuple[ColumnDrift, ...]:
    effects = [(name, effect) for name, one in compared.items() if one for effect in one.effects]
    p_values = np.array([effect.p_value for _, effect in effects])
    adjusted = benjamini_hochberg(p_values, [name for name, _ in effects])
    findings: dict[str, list[Finding]] = {name: [] for name in names}
    for (name, effect), p_adjusted in zip(effects, adjusted, strict=True):
        significant = p_adjusted <= alpha * _OF_ALPHA
        severity = severity_of(effect.name, effect.beyond_chance) if significant else "none"
        findings[name].append(Finding(effect, float(p_adjusted), severity))
    judged = []
    for name in names:
        one = compared.get(name)
        if one is None:
            judged.append(
                ColumnDrift(name, "critical", problem="kind_changed" if name in compared else "absent")
            )
            continue
        severity = worst(finding.severity for finding in findings[name])
        judged.append(ColumnDrift(name, severity, tuple(findings[name]), compared=one))
    return tuple(judged)


def _row(column: ColumnDrift) -> dict[str, Any]:
    row: dict[str, Any] = {"column": column.name, "severity": column.severity, "why": column.why}
    for name in ("psi", "ks", "missing", "new_level"):
        finding = column.finding(name)
        row[name] = finding.effect.size if finding else None
    row["p_adjusted"] = min((one.p_adjusted for one in column.findings), default=None)
    return row


def _words(effect: Effect) -> str:
    return {
        "psi": f"stability index {effect.size:.2f}",
        "ks": f"distribution moved by {effect.size:.2f}",
        "missing": f"share without a value changed by {effect.size:.1%}",
        "new_level": f"a level that the reference does not have, in {effect.size:.1%} of rows",
    }[effect.name]
