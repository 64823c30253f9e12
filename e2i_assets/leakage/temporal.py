"""Temporal leakage: what the contract says is known only later, and dates that lie after the index date."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from e2i_assets.leakage import dates
from e2i_assets.leakage.dates import Dates
from e2i_assets.leakage.findings import Examined, Finding, LeakageError, Limit, Note
from e2i_assets.leakage.view import View

AMBIGUOUS = "day and month cannot be told apart: write the dates as 2024-01-31, or state their format"


def declared_late(view: View) -> Iterator[Note]:
    """Features that the contract says are known only after the index date."""
    for name in view.features:
        entry = view.contract.get(name)
        if entry is None:
            continue
        if entry.known_afterwards:
            declared = f"role {entry.role}, available at {entry.available_at}"
            evidence = f"the contract ({declared}) says that it is known only with the outcome"
            yield Finding("temporal", name, 1.0, 0.0, evidence)
        elif entry.available_at is not None and not entry.known_at_index:
            yield from _known_from(view.train, name, entry.available_at, view.index_date)
    judged = [f for f in view.features if f in view.contract and f not in view.undeclared]
    yield Examined("availability", len(judged))


def dated_late(view: View) -> Iterator[Note]:
    """Columns with dates after the index date; without index dates, that there are such columns."""
    if view.index_date is None:
        dated = [n for n in view.features if dates.are_dates(view.train[n])]
        if dated:
            yield Limit(
                f"{', '.join(dated)}: dates, but no index date to compare them with (event_times) is named"
            )
        return
    judged = 0
    for name in view.features:
        if (column := dates.read(view.train[name])) is not None:
            judged += 1
            yield from _after(name, column, view.index_date)
    yield Examined("temporal", judged)


def _after(name: str, column: Dates, index_date: Dates) -> Iterator[Finding]:
    rows = len(column.wall)
    counts = [int(reading.after(index_date).sum()) for reading in column.readings()]
    late = max(counts)
    if late:
        where = "" if column.whole else ", in the text of the value"
        evidence = f"share of rows with a date after the index date ({late} of {rows}{where})"
        if not min(counts):
            evidence += f", or before it, for {AMBIGUOUS}"
        yield Finding("temporal", name, late / rows, 0.0, evidence)
    elif column.unreadable:
        evidence = (
            f"share of rows whose date cannot be read ({column.unreadable} of {rows}), so that it "
            "cannot be shown to lie before the index date"
        )
        yield Finding("temporal", name, column.unreadable / rows, 0.0, evidence)


def read_dates(train: pd.DataFrame, name: str) -> Dates:
    """The index dates; LeakageError when the column is missing, unreadable or empty in any row."""
    if name not in train.columns:
        raise LeakageError("missing_column", f"no column {name!r} to take index dates from")
    column = dates.read(train[name])
    unreadable = len(train) if column is None else int(column.wall.isna().sum())
    if column is None or unreadable:
        raise LeakageError(
            "not_a_date", f"index date {name}: {unreadable} of {len(train)} rows have no readable date"
        )
    if column.swapped is not None:
        raise LeakageError("not_a_date", f"index date {name}: {AMBIGUOUS}")
    return column


def _known_from(train: pd.DataFrame, name: str, since: str, index_date: Dates | None) -> Iterator[Finding]:
    known_since = dates.read(train[since]) if since in train.columns else None
    if known_since is None or index_date is None:
        evidence = f"the contract says that it is known from {since} on, which cannot be compared here"
        yield Finding("temporal", name, 1.0, 0.0, evidence)
        return
    unknown, filled = known_since.wall.isna(), train[name].notna()
    late = max(int(((r.after(index_date) | unknown) & filled).sum()) for r in known_since.readings())
    if not late:
        return
    evidence = (
        f"share of rows known only after the index date, or from nobody knows when, by {since} "
        f"({late} of {len(train)})"
    )
    yield Finding("temporal", name, late / len(train), 0.0, evidence)
