"""Columns whose names say that they are known only afterwards, where the data agree.

A survival time tells little of the outcome as figures go (in a trial with 44 % events its AUC is about 0.75),
and so no limit on strength finds it. Its name and its part in the table do: a time beside an event indicator,
the end of an interval, a measurement taken later than its baseline. A name alone is never enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from e2i_assets.leakage import name_rules
from e2i_assets.leakage.association import Association, association
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.name_rules import Meaning
from e2i_assets.leakage.univariate import Outcome, correlation
from e2i_assets.leakage.view import Column, View

SIZE = 0.1
"""Least difference between the outcomes' distributions (Kolmogorov-Smirnov, or rank correlation)."""
_P = {"follow-up": 0.01, "duration": 0.05, "event": 1e-3, "aftermath": 1e-3}
_SIZES = {"aftermath": 0.2}
_FEW = 10  # values of what is no time
GAIN = 0.03
"""How much more than its baseline a later measurement must tell."""


def named_as_later(view: View) -> Iterator[Finding]:
    """Columns named as a follow-up, an event or what is recorded afterwards."""
    survival = _is_survival(view)
    named: dict[Meaning, list[tuple[str, Association]]] = {}
    for column in _doubtful(view):
        meaning = name_rules.meaning_of(column.name, view.target)
        if meaning is None or meaning == "change" or (meaning == "duration" and not survival):
            continue
        if meaning in ("follow-up", "duration") and column.numbers is None:
            continue
        named.setdefault(meaning, []).append((column.name, _link(column, view)))
    for meaning, links in named.items():
        for name, link in _borne_out(links, _P[meaning]):
            if link.size >= _SIZES.get(meaning, SIZE):
                yield _finding(name, link, _NAMED[meaning])


def _doubtful(view: View) -> list[Column]:
    """Columns whose names may be held against them."""
    return [c for c in view.left if c.name not in view.early]


def _is_survival(view: View) -> bool:
    return view.outcome.is_event and name_rules.is_survival_target(view.target)


def _link(column: Column, view: View) -> Association:
    return association(column.coded, column.numbers, view.outcome)


def _borne_out(links: Sequence[tuple[str, Association]], level: float) -> list[tuple[str, Association]]:
    """Those that differ between the outcomes, by Holm's step-down: of many names some differ by chance."""
    ordered = sorted(links, key=lambda named: named[1].p)
    passed = 0
    while passed < len(ordered) and ordered[passed][1].p * (len(ordered) - passed) < level:
        passed += 1
    return ordered[:passed]


_NAMED = {
    "follow-up": "named as the time or date of an event or of the last observation",
    "duration": "named as a time, beside a target that is named as the event which ends it",
    "event": "named as something that happens after the index date",
    "aftermath": "named as what is recorded when the outcome is known",
}


def _finding(name: str, link: Association, named: str) -> Finding:
    evidence = (
        f"{named}, and the data agree: {link.measure} {link.size:.2f} between the outcomes (p {link.p:.1e}). "
        "If it is known on the index date, say so in a contract"
    )
    return Finding("target", name, link.size, SIZE, evidence)


def named_as_endpoint(view: View) -> Iterator[Finding]:
    """Times and indicators of events that are named as the target is (`rfsstat`: `prtime`, `prstat`)."""
    columns = _doubtful(view)
    coded = {c.name for c in columns if c.numbers is None or len(np.unique(c.numbers)) <= _FEW}
    pairs = name_rules.endpoints([view.target, *(c.name for c in columns)])
    pairs = {flag: time for flag, time in pairs.items() if time not in coded}
    paired = {*pairs, *pairs.values()}
    if view.target not in paired:
        return
    links = [(c.name, _link(c, view)) for c in columns if c.name in paired]
    for name, link in _borne_out(links, _P["follow-up"]):
        if link.size >= SIZE:
            yield _finding(name, link, f"named as the time or the indicator of an event, as {view.target} is")


def ends_interval(view: View) -> Iterator[Finding]:
    """The end of an interval at whose end the event is or is not."""
    if not _is_survival(view):
        return
    numbers = {c.name: c.numbers for c in view.left if c.numbers is not None}
    for start, stop in permutations(numbers, 2):
        if stop in view.early or not name_rules.is_interval_start(start, stop):
            continue
        if _ordered(numbers[start], numbers[stop]):
            evidence = (
                f"share of rows where it is not before {start}: it is the end of the interval at whose end "
                f"{view.target} was seen or not"
            )
            yield Finding("target", stop, 1.0, 1.0, evidence)


def _ordered(start: np.ndarray, stop: np.ndarray) -> bool:
    both = np.isfinite(start) & np.isfinite(stop)
    return bool(both.mean() > 0.5 and (start[both] <= stop[both]).all() and (start[both] < stop[both]).any())


def repeats_baseline(view: View) -> Iterator[Finding]:
    """Later measurements of what was measured at baseline (`cd40`, `cd420`), that tell more than it did.

    When one column shows that its point of time lies after the index date, so do all others of that time
    that belong to a baseline of their own.
    """
    by_name = {c.name: c for c in view.left}
    families = name_rules.repeated_measures(list(by_name))
    level = _TELLS_MORE / max(1, sum(len(repeats) for repeats in families.values()))
    late: dict[str, str] = {}
    for baseline, repeats in families.items():
        for when, name in repeats.items():
            if _tells_more(by_name[name], by_name[baseline], view.outcome, level):
                late.setdefault(when, name)
    for baseline, repeats in families.items():
        for when, name in repeats.items():
            r = correlation(by_name[baseline].numbers, by_name[name].numbers)
            if when in late and r >= _SAME_MEASURE and name not in view.early:
                evidence = (
                    f"correlation with its baseline {baseline}: the same measured later, at a time that "
                    f"tells more of the target than the baseline does ({late[when]}: "
                    f"{by_name[late[when]].strength:.2f})"
                )
                yield Finding("target", name, r, _SAME_MEASURE, evidence)


_SAME_MEASURE = 0.3


_TELLS_MORE = 1e-3
"""Divided by the number of repeats: one that differs by chance would accuse all of its time."""


def _tells_more(repeat: Column, baseline: Column, outcome: Outcome, level: float) -> bool:
    if repeat.strength < baseline.strength + GAIN:
        return False
    link = association(repeat.coded, repeat.numbers, outcome)
    return link.p < level and link.size >= SIZE


def of_a_later_year(view: View) -> Iterator[Finding]:
    """The target's own quantity in the target's own year, or whatever is of a later year."""
    links: list[tuple[str, Association]] = []
    reasons: dict[str, str] = {}
    for column in _doubtful(view):
        reason = name_rules.not_before(column.name, view.target)
        if reason is not None:
            links.append((column.name, _link(column, view)))
            reasons[column.name] = reason
    for name, link in _borne_out(links, 1e-4):
        if link.size >= SIZE:
            yield _finding(name, link, reasons[name])
