"""Temporal leakage: what the contract says is known only later, and dates that lie after the index date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from e2i_assets.contracts.variables import Variable
from e2i_assets.leakage import dates
from e2i_assets.leakage.dates import Dates
from e2i_assets.leakage.findings import Finding, LeakageError


def availability_findings(
    train: pd.DataFrame,
    features: Sequence[str],
    contract: Mapping[str, Variable],
    index_date: Dates | None,
) -> list[Finding]:
    """Features that the contract says are known only after the index date; `index_date` from `read_dates`."""
    findings = []
    for name in features:
        entry = contract.get(name)
        if entry is None:
            continue
        if entry.known_afterwards:
            said = f"role {entry.role}, available at {entry.available_at}"
            evidence = f"the contract ({said}) says that it is known only with the outcome"
            findings.append(Finding("temporal", name, 1.0, 0.0, evidence))
        elif entry.available_at is not None and not entry.known_at_index:
            findings += _known_from(train, name, entry.available_at, index_date)
    return findings


def declared_early(features: Sequence[str], contract: Mapping[str, Variable]) -> frozenset[str]:
    """Features that the contract says are known on the index date."""
    return frozenset(name for name in features if name in contract and contract[name].known_at_index)


def date_findings(
    train: pd.DataFrame, features: Sequence[str], index_date: Dates
) -> tuple[list[Finding], int]:
    """Columns with dates after the index date, and how many columns with dates there were."""
    findings, judged = [], 0
    for name in features:
        found = dates.read(train[name])
        if found is None:
            continue
        judged += 1
        counts = [int(reading.after(index_date).sum()) for reading in found.readings()]
        late = max(counts)
        if late:
            where = "" if found.whole else ", in the text of the value"
            evidence = f"share of rows with a date after the index date ({late} of {len(train)}{where})"
            if not min(counts):
                evidence += f", or before it, for {AMBIGUOUS}"
            findings.append(Finding("temporal", name, late / len(train), 0.0, evidence))
        elif found.unreadable:
            share = found.unreadable / len(train)
            evidence = (
                f"share of rows whose date cannot be read ({found.unreadable} of {len(train)}), so that it "
                "cannot be shown to lie before the index date"
            )
            findings.append(Finding("temporal", name, share, 0.0, evidence))
    return findings, judged


AMBIGUOUS = "day and month cannot be told apart: write the dates as 2024-01-31, or state their format"


def uncompared(train: pd.DataFrame, features: Sequence[str]) -> tuple[str, ...]:
    """In words, the columns of dates that no index date is there to be compared with."""
    dated = [n for n in features if dates.are_dates(train[n])]
    if not dated:
        return ()
    return (f"{', '.join(dated)}: dates, but no index date to compare them with (event_times) is named",)


def read_dates(train: pd.DataFrame, name: str) -> Dates:
    """The index dates; LeakageError when the column is missing, unreadable or empty in any row."""
    if name not in train.columns:
        raise LeakageError("missing_column", f"no column {name!r} to take index dates from")
    found = dates.read(train[name])
    unreadable = len(train) if found is None else int(found.wall.isna().sum())
    if found is None or unreadable:
        raise LeakageError(
            "not_a_date", f"index date {name}: {unreadable} of {len(train)} rows have no readable date"
        )
    if found.swapped is not None:
        raise LeakageError("not_a_date", f"index date {name}: {AMBIGUOUS}")
    return found


def _known_from(train: pd.DataFrame, name: str, since: str, index_date: Dates | None) -> list[Finding]:
    known_since = dates.read(train[since]) if since in train.columns else None
    if known_since is None or index_date is None:
        evidence = f"the contract says that it is known from {since} on, which cannot be compared here"
        return [Finding("temporal", name, 1.0, 0.0, evidence)]
    unknown, filled = known_since.wall.isna(), train[name].notna()
    late = max(int(((r.after(index_date) | unknown) & filled).sum()) for r in known_since.readings())
    if not late:
        return []
    evidence = (
        f"share of rows known only after the index date, or from nobody knows when, by {since} "
        f"({late} of {len(train)})"
    )
    return [Finding("temporal", name, late / len(train), 0.0, evidence)]
