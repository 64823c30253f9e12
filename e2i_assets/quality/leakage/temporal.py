"""Temporal leakage: what the contract says is known only later, and dates that lie after the index date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from e2i_assets.contracts.base import INDEX, OUTCOME
from e2i_assets.quality.leakage.findings import AvailabilityLike, Finding, LeakageError

_AFTERWARDS = ("outcome", "post_outcome")
_SAMPLE = 200
_DATE_LIKE = r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?\s*$|^\s*\d{8}\s*$"


def availability_findings(
    train: pd.DataFrame,
    features: Sequence[str],
    contract: Mapping[str, AvailabilityLike],
    index_date: pd.Series | None,
) -> list[Finding]:
    """Features that the contract says are known only after the index date; `index_date` from `read_dates`."""
    findings = []
    for name in features:
        entry = contract.get(name)
        if entry is None:
            continue
        if entry.role in _AFTERWARDS or entry.available_at == OUTCOME:
            said = f"role {entry.role}, available at {entry.available_at}"
            evidence = f"the contract ({said}) says that it is known only with the outcome"
            findings.append(Finding("temporal", name, 1.0, 0.0, evidence))
        elif entry.available_at != INDEX:
            findings += _known_from(train, name, entry.available_at, index_date)
    return findings


def date_findings(
    train: pd.DataFrame, features: Sequence[str], index_date: pd.Series
) -> tuple[list[Finding], int]:
    """Date columns with values after the index date, and how many date columns there were."""
    findings, judged = [], 0
    for name in features:
        dates = _as_dates(train[name])
        if dates is None:
            continue
        judged += 1
        late = int(_later(dates, index_date).sum())
        if late:
            evidence = f"share of rows after the index date ({late} of {len(train)})"
            findings.append(Finding("temporal", name, late / len(train), 0.0, evidence))
    return findings, judged


def read_dates(train: pd.DataFrame, name: str) -> pd.Series:
    """The index dates; LeakageError when the column is missing, unreadable or empty in any row."""
    if name not in train.columns:
        raise LeakageError(f"no column {name!r} to take index dates from")
    dates = _parsed(train[name])
    if unreadable := int(dates.isna().sum()):
        raise LeakageError(f"index date {name}: {unreadable} of {len(dates)} rows have no readable date")
    return dates


def _known_from(train: pd.DataFrame, name: str, since: str, index_date: pd.Series | None) -> list[Finding]:
    known_since = _as_dates(train[since]) if since in train.columns else None
    if known_since is None or index_date is None:
        evidence = f"the contract says that it is known from {since} on, which cannot be compared here"
        return [Finding("temporal", name, 1.0, 0.0, evidence)]
    late = int((_later(known_since, index_date) & train[name].notna()).sum())
    if not late:
        return []
    evidence = f"share of rows known only after the index date, by {since} ({late} of {len(train)})"
    return [Finding("temporal", name, late / len(train), 0.0, evidence)]


def _later(dates: pd.Series, index_date: pd.Series) -> pd.Series:
    """Rows whose date is after the index date; by day where either side knows days only."""
    if _in_days(index_date) or _in_days(dates):
        return _wall(dates).dt.normalize() > _wall(index_date).dt.normalize()
    if (dates.dt.tz is None) != (index_date.dt.tz is None):
        return _wall(dates) > _wall(index_date)
    return dates > index_date


def _wall(dates: pd.Series) -> pd.Series:
    return dates.dt.tz_localize(None)


def _in_days(dates: pd.Series) -> bool:
    wall = _wall(dates).dropna()
    return bool((wall == wall.dt.normalize()).all())


def _as_dates(column: pd.Series) -> pd.Series | None:
    """The column as timestamps when it is made of dates, in whatever form; else None."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return None
    sample = column.dropna().astype("string").head(_SAMPLE)
    if not len(sample) or sample.str.match(_DATE_LIKE).mean() < 0.95:
        return None
    dates = _parsed(column)
    return dates if dates.notna().sum() >= 0.95 * column.notna().sum() else None


def _parsed(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]")
    text = column.astype("string")
    zoned = bool(text.str.contains(r"(?:[Zz]|[+-]\d{2}:?\d{2})\s*$").any()) and bool(
        text.str.contains(":", regex=False).any()
    )
    return pd.to_datetime(text, errors="coerce", format="mixed", utc=zoned)
