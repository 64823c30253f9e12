"""Columns that follow from a leak: its echo, or an event in the follow-up whose end it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from e2i_assets.leakage import name_rules
from e2i_assets.leakage.findings import Finding
from e2i_assets.leakage.univariate import correlation
from e2i_assets.leakage.view import Column, View

ECHO = 0.98
"""Correlation from which on a column is a leak's echo."""
LESS = 0.05
"""How much less it may tell than the leak: what a leak is measured from (the distance of a flight, whose time
in the air is there unless it is cancelled) rises and falls with it, and tells nothing."""
COVERED = 0.95
"""Share of its values beside which the leak must be there, too, for both to rise and fall together."""
BY_CHANCE = 6.0
"""Values that chance would bring after the end of the follow-up, for none there to be no accident."""
TOLD = 0.9
"""Correlation from which on a flag says whether an event came before the end (some come on the last day)."""
RARE = 0.02
"""Least share of rows with the event, and without it, for its presence to say anything."""
UNFINISHED = 0.05
"""Least share of rows without the event: nothing there, or the end of the follow-up in its stead."""
_MOST = 12  # times of which each two are compared


def follows(view: View) -> list[Finding]:
    """Columns that follow from those accused, until no more do."""
    findings: dict[str, Finding] = {}
    leaks, rest = view.accused, view.left
    times = [c for c in leaks if c.numbers is not None and name_rules.is_time(c.name, view.target)]
    while True:
        events = {c.name: f for c in rest if (f := _event_before_end(c, times))}
        new = events | {c.name: f for c in rest if (f := _echo(c, leaks) or _of_event(c, times))}
        if not new:
            return list(findings.values())
        findings |= new
        leaks += [c for c in rest if c.name in new]
        times += [c for c in rest if c.name in events]
        rest = [c for c in rest if c.name not in new]


def _echo(column: Column, leaks: Sequence[Column]) -> Finding | None:
    """It repeats a leak: its values, or whether it is there."""
    for leak in leaks:
        alike, what = max(_echoes(column, leak), default=(0.0, ""))
        if alike >= ECHO:
            evidence = f"agreement with {leak.name}, which is a leak itself: {what}"
            return Finding("target", column.name, alike, ECHO, evidence)
    return None


def _echoes(column: Column, leak: Column) -> Iterator[tuple[float, str]]:
    covered = _known(leak)[_known(column)].mean() >= COVERED
    before = _is_before(column, leak) or _is_earlier_date(column, leak)
    if covered and column.strength >= leak.strength - LESS and not before:
        yield abs(correlation(column.numbers, leak.numbers)), "both rise and fall together"
    for a, b, what in (
        (column, leak, f"it says whether {leak.name} is there"),
        (leak, column, f"it is there when {leak.name} says so"),
    ):
        if b.coded.missing is not None and _is_flag(a):
            yield abs(correlation(a.coded.codes.astype(float), _known(b).astype(float))), what


def _is_before(column: Column, end: Column) -> bool:
    """Whether it is named as the start of what the other is the end of, or as history."""
    return name_rules.is_history(column.name) or name_rules.is_interval_start(column.name, end.name)


def _is_earlier_date(column: Column, leak: Column) -> bool:
    """Whether both are dates, and this one is never the later: of an order whose delivery is late."""
    if not (column.dated and leak.dated):
        return False
    both = np.isfinite(column.numbers) & np.isfinite(leak.numbers)  # type: ignore[arg-type]
    x, z = column.numbers[both], leak.numbers[both]  # type: ignore[index]
    return bool((x <= z).all() and (x < z).any())


def _known(column: Column) -> np.ndarray:
    return column.coded.codes != (-1 if column.coded.missing is None else column.coded.missing)


def _is_flag(column: Column) -> bool:
    return column.coded.missing is None and column.coded.levels == 2


def _event_before_end(column: Column, times: Sequence[Column]) -> Finding | None:
    """The time of an event in the follow-up that another time is the end of."""
    for end in times:
        if _is_before(column, end):
            continue
        if (by_chance := _after_by_chance(column.numbers, end.numbers)) >= BY_CHANCE:
            evidence = (
                f"values that chance would bring after {end.name}, the end of the follow-up, where there is "
                "none: it is the time of an event before that end"
            )
            return Finding("target", column.name, by_chance, BY_CHANCE, evidence)
    return None


def _of_event(column: Column, times: Sequence[Column]) -> Finding | None:
    """Whether an event came before the end, what was recorded when it came, or the time of the next one."""
    for time in times:
        came, filled = _known(time), _known(column)
        if not RARE <= came.mean() <= 1 - RARE or not RARE / 2 <= filled.mean() <= 1 - RARE:
            continue
        alike = abs(correlation(filled.astype(float), came.astype(float)))
        if alike >= ECHO:
            evidence = f"agreement with {time.name}, the time of an event: it is there when that is"
            return Finding("target", column.name, alike, ECHO, evidence)
        if name_rules.are_numbered_alike(column.name, time.name) and came[filled].all():
            evidence = f"share of its values beside a {time.name}, the time of an event before it"
            return Finding("target", column.name, 1.0, 1.0, evidence)
    if not _is_flag(column):
        return None
    for time, end in permutations(times[:_MOST], 2):
        came = (time.numbers < end.numbers).astype(float)  # type: ignore[operator]
        if (alike := abs(correlation(column.coded.codes.astype(float), came))) >= TOLD:
            evidence = f"agreement with what it says: whether {time.name} came before {end.name}"
            return Finding("target", column.name, alike, TOLD, evidence)
    return None


def _after_by_chance(times: np.ndarray | None, end: np.ndarray | None) -> float:
    """Times that chance would bring after the end; 0 where some are, or where all events came."""
    if times is None or end is None:
        return 0.0
    both = np.isfinite(times) & np.isfinite(end)
    x, y = times[both], end[both]
    unfinished = 1 - np.isfinite(times).mean() + (x == y).sum() / len(times)
    if not len(x) or (x > y).any() or unfinished < UNFINISHED:
        return 0.0
    return float(np.searchsorted(np.sort(y), x, side="left").sum() / len(y))
