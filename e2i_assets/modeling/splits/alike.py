"""Patients whose rows are those of another patient: who they are, and how they come into one split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from e2i_assets.modeling.splits.policy import RATIOS

EqualRows = Literal["refuse", "same_split", "allow"]
_SHARES = np.array(list(RATIOS.values()))
_NAMES = np.array(list(RATIOS), dtype=object)
_MIXED = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: multiplying by it mixes bits


@dataclass(frozen=True)
class Alike:
    """How many patients are alike, and what the cohort file says of them.

    Attributes:
        patients: with a row that another patient has as well.
        groups, largest: of such patients, and patients of the largest.
        parted: groups whose patients were assigned to different splits earlier; nobody is moved.
    """

    policy: EqualRows
    patients: int = 0
    groups: int = 0
    largest: int = 0
    parted: int = 0

    def text(self, count: Callable[[int], str] = str) -> str:
        """The counts, for a person; `count` writes one, for pages that hide small ones."""
        if not self.patients:
            return f"no two patients have equal rows (equal_rows: {self.policy})"
        parted = f"; parted by earlier assignments: {count(self.parted)} groups" if self.parted else ""
        return (
            f"{count(self.patients)} patients have a row that another has as well, groups: "
            f"{count(self.groups)}, largest: {count(self.largest)} (equal_rows: {self.policy}){parted}"
        )


NOBODY_ALIKE = Alike("same_split")


def row_keys(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """A number for each row, the same for rows whose values are all equal; a null is equal to a null.

    Text is told apart as the leakage audit tells it: neither by case nor by space around it.
    """
    keys = np.zeros(len(rows), dtype=np.uint64)
    for name in columns:
        values = rows[name]
        if not pd.api.types.is_numeric_dtype(values):
            values = values.astype("string").str.strip().str.lower()
        keys = (keys ^ pd.factorize(values)[0].astype(np.uint64)) * _MIXED
        keys ^= keys >> np.uint64(29)
    return keys


def alike_groups(patients: pd.Series, keys: Sequence[np.ndarray]) -> pd.Series:
    """Numbers of the groups of patients who are alike, by patient; others are not there.

    Whoever shares a key with somebody is in their group, with all those who share one with either.

    Args:
        patients: patient of each row.
        keys: for each outcome a number per row, equal for rows of equal features and outcome.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    own, names = pd.factorize(patients, sort=True)
    ends, size = [], len(names)
    for key in keys:
        codes, distinct = pd.factorize(key)
        ends.append(codes + size)
        size += len(distinct)
    edges = (np.tile(own, len(keys)), np.concatenate(ends))
    graph = coo_matrix((np.ones(len(edges[0]), dtype=bool), edges), shape=(size, size))
    labels = pd.Series(connected_components(graph, directed=False)[1][: len(names)], index=names)
    several = labels[labels.duplicated(keep=False)]
    # Numbered in the order of their first patients, so that the order of rows decides nothing.
    return pd.Series(pd.factorize(several)[0], index=several.index)


def summary(assigned: pd.DataFrame, policy: EqualRows) -> Alike:
    """Counts of assigned patients (`split`, and `alike`, null where nobody is)."""
    groups = assigned.dropna(subset="alike").groupby("alike")["split"]
    sizes = groups.size()
    if sizes.empty:
        return Alike(policy)
    return Alike(policy, int(sizes.sum()), len(sizes), int(sizes.max()), int((groups.nunique() > 1).sum()))


def tellable(assigned: pd.DataFrame) -> pd.Series:
    """The groups that may stand beside open splits: a sealed patient's row is not told by an open one's."""
    sealed = ~assigned["split"].isin(["train", "validation"])
    parted = assigned.groupby("alike")["split"].transform("nunique").reindex(assigned.index).fillna(0) > 1
    return assigned["alike"].mask(sealed & parted)


def place_alike(table: pd.DataFrame, seed: int) -> None:
    """Give a split to each patient of `table` who is alike to another and has none.

    Who is alike to somebody assigned follows; where those are in several splits, the one with most of them.
    Other groups are drawn: a split is as likely as it lacks patients, among those that have room for the
    group in each of its strata.
    """
    _follow(table)
    new = table[table["split"].isna() & table["alike"].notna()]
    if new.empty:
        return
    totals = table["stratum"].value_counts().sort_index()
    placed = pd.crosstab(table["stratum"], table["split"]).reindex(
        index=totals.index, columns=list(RATIOS), fill_value=0
    )
    lacking = np.outer(totals, _SHARES) - placed.to_numpy()
    members = pd.crosstab(new["alike"], new["stratum"]).reindex(columns=totals.index, fill_value=0)
    counts, rng, chosen = members.to_numpy(), np.random.default_rng(seed), {}
    for place in np.argsort(-counts.sum(axis=1), kind="stable"):
        split = _drawn(lacking, counts[place][:, None], rng)
        lacking[:, split] -= counts[place]
        chosen[members.index[place]] = _NAMES[split]
    table.loc[new.index, "split"] = new["alike"].map(chosen)


def _follow(table: pd.DataFrame) -> None:
    known = table.dropna(subset=["alike", "split"])
    if known.empty:
        return
    counts = pd.crosstab(known["alike"], known["split"]).reindex(columns=list(RATIOS), fill_value=0)
    follows = table["split"].isna() & table["alike"].isin(counts.index)
    table.loc[follows, "split"] = table.loc[follows, "alike"].map(counts.idxmax(axis=1))


def _drawn(lacking: np.ndarray, count: np.ndarray, rng: np.random.Generator) -> int:
    """A split for a group of so many patients of each stratum, (strata, 1)."""
    room = np.where(count > 0, lacking - count, np.inf).min(axis=0)
    fits = room >= 0 if (room >= 0).any() else room == room.max()
    weights = np.where(fits, np.clip(lacking.sum(axis=0), 1e-9, None), 0.0)
    return int(rng.choice(len(_NAMES), p=weights / weights.sum()))
