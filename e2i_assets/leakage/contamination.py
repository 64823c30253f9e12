"""Contamination: the same patient, the same patient at the same HCP, or the same row, in two splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import pandas as pd

from e2i_assets.contracts.spelling import apart_by_zeros, as_key
from e2i_assets.leakage.copies import Copies, copies
from e2i_assets.leakage.findings import Examined, Finding, LeakageError, Limit, Note
from e2i_assets.leakage.name_rules import is_hcp_key, is_patient_key
from e2i_assets.leakage.view import View

_BY_CHANCE = 0.01  # equal rows that chance alone may bring before equality stops being evidence


def shared_between_splits(view: View) -> Iterator[Note]:
    """Compare every pair of splits by id (as text), by HCP-patient pair, and by row.

    Columns named as patient and HCP ids are compared beside the id column.

    Raises:
        LeakageError: a split is empty, lacks the id column, or has rows without an id.
    """
    splits, id_column = view.splits, view.id_column
    if len(splits) < 2:
        return
    for name, frame in splits.items():
        if frame.empty:
            raise LeakageError("empty_input", f"split {name} is empty, so nothing can be compared with it")
    shared = [str(c) for c in view.train if all(c in f for f in splits.values())]
    keys = {id_column} if id_column else set()
    keys |= {c for c in shared if is_patient_key(c)}
    for key in sorted(keys):
        ids = {name: _ids(frame, name, key, whole=key == id_column) for name, frame in splits.items()}
        yield from _overlaps(ids, f"values of {key} that are in both splits")
        yield from _zeros(ids, key)
    patient = next((c for c in sorted(keys) if is_patient_key(c)), id_column)
    hcp = next((c for c in shared if c != patient and is_hcp_key(c)), None)
    if patient and hcp:
        pairs = {name: _pairs(frame, patient, hcp) for name, frame in splits.items()}
        yield from _overlaps(pairs, f"pairs of {hcp} and {patient} (HCP and patient) that are in both splits")
    values = [c for c in shared if c not in keys]
    copied = copies(splits, values, apart=_are_apart(splits, values)) if values else []
    yield from (limit for c in copied if (limit := _unseen(c)))
    yield from (limit for c in copied if (limit := _allowed(c))) if view.equal_rows else _copies(copied)
    if keys or any(c.same is not None or c.seen_from for c in copied):
        yield Examined("contamination", len(splits) * (len(splits) - 1) // 2)


def _overlaps(sets: Mapping[str, set[str]], evidence: str) -> list[Finding]:
    return [
        Finding("contamination", f"{a} and {b}", shared, 0.0, evidence)
        for a, b in combinations(sets, 2)
        if (shared := len(sets[a] & sets[b]))
    ]


def _zeros(ids: Mapping[str, set[str]], key: str) -> Iterator[Limit]:
    for a, b in combinations(ids, 2):
        if zeros := apart_by_zeros(ids[a], ids[b]):
            yield Limit(
                f"{a} and {b}: {zeros} values of {key} differ in leading zeros alone, which one of them "
                "lacks: write them alike, or the same patients go unseen"
            )


def _ids(frame: pd.DataFrame, split: str, key: str, *, whole: bool) -> set[str]:
    if key not in frame.columns:
        raise LeakageError("missing_column", f"split {split}: no column {key!r}")
    ids = as_key(frame[key])
    missing = int(ids.isna().sum())
    if missing and whole:
        raise LeakageError("missing_value", f"split {split}: {missing} of {len(ids)} rows have no {key}")
    return set(ids.dropna().to_numpy())


def _pairs(frame: pd.DataFrame, patient: str, hcp: str) -> set[str]:
    both = frame.loc[frame[patient].notna() & frame[hcp].notna(), [patient, hcp]]
    return set((as_key(both[patient]) + "\x1f" + as_key(both[hcp])).to_numpy())


def _are_apart(splits: Mapping[str, pd.DataFrame], columns: list[str]) -> bool:
    """Whether equal rows are not to be expected by chance, as a few yes/no columns coincide all the time.

    Expected are the pairs that would be equal if columns were independent.
    """
    largest, second, *_ = sorted(splits.values(), key=len, reverse=True)
    expected = float(len(largest)) * len(second)
    for name in columns:
        if expected <= _BY_CHANCE:  # further columns only make it less
            return True
        shares = largest[name].value_counts(normalize=True, dropna=False).to_numpy()
        expected *= float((shares**2).sum())
    return expected <= _BY_CHANCE


def _copies(copied: Iterable[Copies]) -> Iterator[Finding]:
    for c in copied:
        if c.same:
            evidence = "rows of the second split that are in the first as well, value for value"
            yield Finding("contamination", f"{c.a} and {c.b}", c.same, 0.0, evidence)
        if c.near.pairs:
            evidence = (
                "pairs of rows that are nearly the same and lie between the two splits; the threshold is the "
                "number that chance would put there, by pairs as alike within the splits"
            )
            yield Finding("contamination", f"{c.a} and {c.b}", c.near.pairs, c.near.expected, evidence)


def _allowed(copied: Copies) -> Limit | None:
    """Copies that are no finding where equal rows are allowed."""
    if not copied.same and not copied.near.pairs:
        return None
    nearly = f" and {copied.near.pairs} pairs nearly" if copied.near.pairs else ""
    return Limit(
        f"{copied.a} and {copied.b}: {copied.same or 0} rows are equal{nearly}, which the cohort file allows"
    )


def _unseen(copied: Copies) -> Limit | None:
    """What could not be seen of copies."""
    unseen = [] if copied.same is not None else ["equal rows are common, so they say nothing"]
    if copied.seen_from is None:
        unseen.append(
            "copies with one value changed would go unseen, even a tenth of the rows: "
            "too few rows, or too many that are alike by nature"
        )
    elif not copied.few:
        unseen.append(
            f"copies with one value changed would be seen from about {copied.seen_from} on, not fewer"
        )
    return Limit(f"{copied.a} and {copied.b}: {'; '.join(unseen)}") if unseen else None
