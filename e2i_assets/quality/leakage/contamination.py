"""Contamination: the same patient, or the same row, in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from e2i_assets.quality.leakage.findings import Finding, LeakageError

_BY_CHANCE = 0.01  # equal rows that chance alone may bring before equality stops being evidence


def contamination_findings(splits: Mapping[str, pd.DataFrame], id_column: str | None) -> list[Finding]:
    """Compare every pair of splits by id (as text) and by full row.

    Raises:
        LeakageError: a split lacks the id column, or has rows without an id.
    """
    ids = {name: _ids(frame, name, id_column) for name, frame in splits.items()} if id_column else {}
    findings = []
    for a, b in combinations(splits, 2):
        if ids and (shared := len(ids[a] & ids[b])):
            evidence = f"values of {id_column} that are in both splits"
            findings.append(Finding("contamination", f"{a} and {b}", shared, 0.0, evidence))
        if same := _equal_rows(splits[a], splits[b], id_column):
            evidence = "rows of the second split that are in the first as well, value for value"
            findings.append(Finding("contamination", f"{a} and {b}", same, 0.0, evidence))
    return findings


def _ids(frame: pd.DataFrame, split: str, id_column: str) -> set[str]:
    if id_column not in frame.columns:
        raise LeakageError(f"split {split}: no column {id_column!r}")
    ids = frame[id_column]
    if missing := int(ids.isna().sum()):
        raise LeakageError(f"split {split}: {missing} of {len(ids)} rows have no {id_column}")
    if pd.api.types.is_float_dtype(ids) and (ids % 1 == 0).all():
        ids = ids.astype("int64")  # an integer key that met a null on its way
    return set(ids.astype("string").str.strip())


def _equal_rows(a: pd.DataFrame, b: pd.DataFrame, id_column: str | None) -> int:
    shared = [c for c in a.columns if c in b.columns and c != id_column]
    if not shared or _expected_by_chance(a[shared], len(b)) > _BY_CHANCE:
        return 0
    first = pd.util.hash_pandas_object(_comparable(a[shared]), index=False)
    second = pd.util.hash_pandas_object(_comparable(b[shared]), index=False)
    return int(np.isin(second.to_numpy(), first.to_numpy()).sum())


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float64 and the rest as text: the same value must hash alike whatever its dtype."""
    return pd.DataFrame(
        {
            c: frame[c].astype("float64")
            if pd.api.types.is_numeric_dtype(frame[c])
            else frame[c].astype("string").fillna("")
            for c in frame.columns
        }
    )


def _expected_by_chance(frame: pd.DataFrame, others: int) -> float:
    """Expected equal pairs if columns were independent: a few yes/no columns coincide all the time."""
    chance = float(len(frame)) * others
    for name in frame.columns:
        shares = frame[name].value_counts(normalize=True, dropna=False).to_numpy()
        chance *= float((shares**2).sum())
    return chance
