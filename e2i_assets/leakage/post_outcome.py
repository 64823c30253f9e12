"""Columns whose names say that they are known only afterwards, where the data agree.

A survival time tells little of the outcome as figures go (in a trial with 44 % events its AUC is about 0.75),
and so no limit on strength finds it. Its name and its part in the table do: a time beside an event indicator,
the end of an interval, a measurement taken later than its baseline. A name alone is never enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from e2i_assets.leakage import name_rules
from e2i_assets.leakage.association import Association, association
from e2i_assets.leakage.binning import Coded
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.name_rules import Meaning
from e2i_assets.leakage.univariate import Outcome

SIZE = 0.1
"""Least difference between the outcomes' distributions (Kolmogorov-Smirnov, or rank correlation)."""
_P = {"follow-up": 0.01, "duration": 0.05, "event": 1e-3, "aftermath": 1e-3}
_SIZES = {"aftermath": 0.2}
STRONG = 0.75
"""AUC from which on a name that may mean anything is suspect."""
_FEW = 10  # values of what is no time
GAIN = 0.03
"""How much more than its baseline a later measurement must tell."""


@dataclass(frozen=True)
class Column:
    """One feature, as every judge wants it.

    Attributes:
        numbers: its values as float64 with NaN for missing; None when it is text.
        strength: out-of-fold AUC or correlation of this column alone.
        strongest: the same of the class that it tells best.
        dated: whether the numbers are days of dates.
    """

    name: str
    coded: Coded
    numbers: np.ndarray | None
    strength: float
    strongest: float
    dated: bool = False


def later_findings(
    columns: Sequence[Column], target: str, outcome: Outcome, declared: frozenset[str]
) -> list[Finding]:
    """Findings of kind `target` from names that the data bear out, at most one per column.

    Args:
        declared: columns that are not accused. They are there as baselines and starts of others.
    """
    doubtful = [c for c in columns if c.name not in declared]
    judged = [judge(doubtful, target, outcome) for judge in (_by_name, _endpoints, _periods)]
    judged += [judge(columns, target, outcome) for judge in (_intervals, _repeats)]
    found: dict[str, Finding] = {}
    for finding in (f for findings in judged for f in findings if f.column not in declared):
        found.setdefault(finding.column, finding)
    return list(found.values())


def _by_name(columns: Sequence[Column], target: str, outcome: Outcome) -> list[Finding]:
    survival = outcome.is_event and name_rules.is_survival_target(target)
    named: dict[Meaning, list[tuple[str, Association]]] = {}
    for column in columns:
        meaning = name_rules.meaning_of(column.name, target)
        if meaning is None or meaning == "change" or (meaning == "duration" and not survival):
            continue
        if meaning in ("follow-up", "duration") and column.numbers is None:
            continue
        named.setdefault(meaning, []).append(
            (column.name, association(column.coded, column.numbers, outcome))
        )
    return [
        _finding(name, link, _SAID[meaning])
        for meaning, links in named.items()
        for name, link in _borne_out(links, _P[meaning])
        if link.size >= _SIZES.get(meaning, SIZE)
    ]


def _borne_out(links: Sequence[tuple[str, Association]], level: float) -> list[tuple[str, Association]]:
    """Those that differ between the outcomes, by Holm's step-down: of many names some differ by chance."""
    ordered = sorted(links, key=lambda named: named[1].p)
    kept = 0
    while kept < len(ordered) and ordered[kept][1].p * (len(ordered) - kept) < level:
        kept += 1
    return ordered[:kept]


_SAID = {
    "follow-up": "named as the time or date of an event or of the last observation",
    "duration": "named as a time, beside a target that is named as the event which ends it",
    "event": "named as something that happens after the index date",
    "aftermath": "named as what is recorded when the outcome is known",
}


def _finding(name: str, link: Association, said: str) -> Finding:
    evidence = (
        f"{said}, and the data agree: {link.measure} {link.size:.2f} between the outcomes (p {link.p:.1e}). "
        "If it is known on the index date, say so in a contract"
    )
    return Finding("target", name, link.size, SIZE, evidence)


def _endpoints(columns: Sequence[Column], target: str, outcome: Outcome) -> list[Finding]:
    """Times and indicators of events that are named as the target is (`rfsstat`: `prtime`, `prstat`)."""
    coded = {c.name for c in columns if c.numbers is None or len(np.unique(c.numbers)) <= _FEW}
    pairs = name_rules.endpoints([target, *(c.name for c in columns)])
    pairs = {flag: time for flag, time in pairs.items() if time not in coded}
    if target not in {*pairs, *pairs.values()}:
        return []
    said = f"named as the time or the indicator of an event, as {target} is"
    links = [
        (column.name, association(column.coded, column.numbers, outcome))
        for column in columns
        if column.name in pairs or column.name in pairs.values()
    ]
    borne_out = _borne_out(links, _P["follow-up"])
    return [_finding(name, link, said) for name, link in borne_out if link.size >= SIZE]


def has_weak_name(column: Column) -> bool:
    """Whether it is named as a bare duration, or as a change between years.

    A mere unit (hours of study, weeks of pregnancy) is not enough.
    """
    meaning = name_rules.meaning_of(column.name)
    return meaning == "change" or (meaning == "duration" and not name_rules.is_unit(column.name))


def weak_name(column: Column, others: float) -> Finding | None:
    """A bare duration, or a change between years, that tells far more than all else together.

    Such a name may as well be that of something planned or past; only its lead makes it suspect.

    Args:
        others: AUC of all unsuspicious columns together, those with such names not among them.
    """
    meaning = name_rules.meaning_of(column.name)
    if not has_weak_name(column) or column.strength < max(STRONG, others + GAIN):
        return None
    evidence = (
        f"cross-validated AUC of this column alone; it is named as a {meaning} and tells more than all "
        f"unsuspicious columns together ({others:.3f})"
    )
    return Finding("target", column.name, column.strength, STRONG, evidence)


def _intervals(columns: Sequence[Column], target: str, outcome: Outcome) -> list[Finding]:
    """The end of an interval at whose end the event is or is not."""
    if not (outcome.is_event and name_rules.is_survival_target(target)):
        return []
    numbers = {c.name: c.numbers for c in columns if c.numbers is not None}
    findings = []
    for start, stop in permutations(numbers, 2):
        if name_rules.is_interval_start(start, stop) and _ordered(numbers[start], numbers[stop]):
            evidence = (
                f"share of rows where it is not before {start}: it is the end of the interval at whose end "
                f"{target} was seen or not"
            )
            findings.append(Finding("target", stop, 1.0, 1.0, evidence))
    return findings


def _ordered(start: np.ndarray, stop: np.ndarray) -> bool:
    both = np.isfinite(start) & np.isfinite(stop)
    return bool(both.mean() > 0.5 and (start[both] <= stop[both]).all() and (start[both] < stop[both]).any())


def _repeats(columns: Sequence[Column], target: str, outcome: Outcome) -> list[Finding]:
    """Later measurements of what was measured at baseline (`cd40`, `cd420`), that tell more than it did.

    When one column shows that its point of time lies after the index date, so do all others of that time
    that belong to a baseline of their own.
    """
    by_name = {c.name: c for c in columns}
    families = name_rules.repeated_measures(list(by_name))
    level = _TELLS_MORE / max(1, sum(len(repeats) for repeats in families.values()))
    late: dict[str, str] = {}
    for baseline, repeats in families.items():
        for when, name in repeats.items():
            if _tells_more(by_name[name], by_name[baseline], outcome, level):
                late.setdefault(when, name)
    findings = []
    for baseline, repeats in families.items():
        for when, name in repeats.items():
            r = correlation(by_name[baseline].numbers, by_name[name].numbers)
            if when in late and r >= _SAME_MEASURE:
                evidence = (
                    f"correlation with its baseline {baseline}: the same measured later, at a time that "
                    f"tells more of the target than the baseline does ({late[when]}: "
                    f"{by_name[late[when]].strength:.2f})"
                )
                findings.append(Finding("target", name, r, _SAME_MEASURE, evidence))
    return findings


_SAME_MEASURE = 0.3


_TELLS_MORE = 1e-3
"""Divided by the number of repeats: one that differs by chance would accuse all of its time."""


def _tells_more(repeat: Column, baseline: Column, outcome: Outcome, level: float) -> bool:
    link = association(repeat.coded, repeat.numbers, outcome)
    return repeat.strength >= baseline.strength + GAIN and link.p < level and link.size >= SIZE


def correlation(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Pearson's r over the rows that have both; 0 for fewer than 30 or a constant."""
    if a is None or b is None:
        return 0.0
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 30 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _periods(columns: Sequence[Column], target: str, outcome: Outcome) -> list[Finding]:
    """The target's own quantity in the target's own year, or whatever is of a later year."""
    links: list[tuple[str, Association]] = []
    reasons: dict[str, str] = {}
    for column in columns:
        said = name_rules.not_before(column.name, target)
        if said is not None:
            links.append((column.name, association(column.coded, column.numbers, outcome)))
            reasons[column.name] = said
    borne_out = _borne_out(links, 1e-4)
    return [_finding(name, link, reasons[name]) for name, link in borne_out if link.size >= SIZE]
