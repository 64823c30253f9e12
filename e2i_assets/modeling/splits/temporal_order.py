"""Splits in the order of the index dates: where the three cuts go, or which wishes cannot hold together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits.policy import RATIOS, TOLERANCE, stratum_tolerance

_SHARES = np.array(list(RATIOS.values()))
_NAMES = np.array(list(RATIOS), dtype=object)

WISHES = {
    "stratification": "each split having its share of every outcome",
    "stability": "every patient staying in the split assigned before",
    "patients": "all journeys of a patient being in one split",
    "alike": "patients with equal rows being in one split",
}
_NEXT_STEPS = {
    "stratification": "Look at how the outcome changes over the index dates and shorten the period of the "
    "cohort by a criterion on them, or set split_order: random in the scope.",
    "stability": "Keep the cohort to the period that was split by a criterion on the index date, or copy the "
    "cohort file under a new name: a new partition is split anew.",
    "patients": "Keep one journey of each patient by a criterion, or set split_order: random in the scope.",
    "alike": "Set equal_rows: allow in the cohort file, or split_order: random in the scope.",
    "ratios": "Too many patients share an index date; lengthen the period, or set split_order: random in the "
    "scope.",
}


def assign_in_order(patients: pd.DataFrame) -> pd.Series:
    """The split of each patient, everybody in a split being before everybody in the next.

    Of all cuts that keep the ratios, the strata and what was assigned before, those whose largest deviation
    (as a share of what is allowed) is smallest. Nothing is drawn: the same patients give the same splits.

    Args:
        patients: `stratum`, `first` and `last` index day, and `split`, null for the new ones; perhaps
            `alike`, groups of whom nobody is parted.

    Raises:
        SplitError: no cuts keep all; the code (`order_against_…`) and the message say which wishes clash.
    """
    table = _in_order(_together(patients))
    cuts = _cuts(_Problem.of(patients))
    if cuts is None:
        raise _refusal(patients)
    bounds = [0, *cuts, len(table)]
    return pd.Series(np.repeat(_NAMES, np.diff(bounds)), index=table.index).reindex(patients.index)


def _in_order(patients: pd.DataFrame) -> pd.DataFrame:
    return patients.sort_values(["first", "last"], kind="stable")


def _together(patients: pd.DataFrame) -> pd.DataFrame:
    """Patients alike reach from the first day of them all to the last, so that no cut parts them."""
    if "alike" not in patients:
        return patients
    groups = patients.dropna(subset="alike").groupby("alike")
    return patients.assign(
        first=groups["first"].transform("min").reindex(patients.index).fillna(patients["first"]),
        last=groups["last"].transform("max").reindex(patients.index).fillna(patients["last"]),
    )


@dataclass(frozen=True)
class _Problem:
    """Patients in order of their first day, as arrays.

    Attributes:
        running: patients of each group (everyone first, then the strata) before each position,
            (patients + 1, groups).
        slack: by how many patients each split may be off in each group, (groups, splits).
        cuttable: whether everybody before a position ends before everybody from it on begins.
        window: lowest and highest position of each of the three cuts that what was assigned leaves.
    """

    running: np.ndarray
    slack: np.ndarray
    cuttable: np.ndarray
    window: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, patients: pd.DataFrame, *, without: tuple[str, ...] = ()) -> _Problem:
        table = patients.assign(last=patients["first"]) if "patients" in without else patients
        table = _in_order(table if "alike" in without else _together(table))
        size = len(table)
        groups = pd.get_dummies(table["stratum"]).to_numpy(int)
        if "stratification" in without:
            groups = groups[:, :0]
        running = np.vstack([np.zeros(groups.shape[1] + 1, int), np.c_[np.ones(size, int), groups].cumsum(0)])
        slack = np.full((running.shape[1], len(RATIOS)), TOLERANCE * size + 1e-9)
        for group, count in enumerate(running[-1, 1:], start=1):
            slack[group] = [stratum_tolerance(count, size, share) for share in _SHARES]
        first = table["first"].to_numpy()
        last = np.maximum.accumulate(table["last"].to_numpy())
        known = table["split"].map({name: i for i, name in enumerate(RATIOS)}).to_numpy(float)
        if "stability" in without:
            known = np.full(size, np.nan)
        places = np.arange(size)
        window = tuple(
            (
                int(places[known <= cut].max(initial=-1)) + 1,
                int(places[known > cut].min(initial=size)),
            )
            for cut in range(len(RATIOS) - 1)
        )
        return cls(running, slack, last[:-1] < first[1:], window)


def _cuts(problem: _Problem) -> tuple[int, ...] | None:
    """The best three cuts, or None: dynamic programming over the cuts from left to right."""
    size = int(problem.running[-1, 0])
    starts = np.array([0])
    worst = np.zeros(1)
    paths: list[tuple[np.ndarray, np.ndarray]] = []
    for cut, share in enumerate(np.cumsum(_SHARES)[:-1]):
        # Each split before it may be off by the tolerance, and so may all that come after it together.
        reach = min(cut + 1, len(RATIOS) - 1 - cut) * problem.slack[0, 0]
        low, high = problem.window[cut]
        low, high = (
            max(low, int(np.ceil(share * size - reach)), 1),
            min(high, int(share * size + reach), size - 1),
        )
        ends = np.arange(low, high + 1)
        ends = ends[problem.cuttable[ends - 1]] if len(ends) else ends
        if not len(ends):
            return None
        costs = np.maximum(worst[:, None], _cost(problem, cut, starts, ends))
        came_from = costs.argmin(axis=0)
        worst = costs[came_from, np.arange(len(ends))]
        paths.append((ends, came_from))
        starts = ends
    worst = np.maximum(worst, _cost(problem, len(RATIOS) - 1, starts, np.array([size]))[:, 0])
    best = int(worst.argmin())
    if worst[best] > 1:
        return None
    cuts: list[int] = []
    for ends, came_from in reversed(paths):
        cuts.insert(0, int(ends[best]))
        best = int(came_from[best])
    return tuple(cuts)


def _cost(problem: _Problem, split: int, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Largest deviation over all groups as a share of the allowed one, (starts, ends); above 1 fails."""
    cost = np.zeros((len(starts), len(ends)))
    for group, slack in enumerate(problem.slack[:, split]):
        counts = problem.running[:, group]
        sizes = counts[ends][None, :] - counts[starts][:, None]
        np.maximum(cost, abs(sizes - _SHARES[split] * counts[-1]) / slack, out=cost)
    cost[ends[None, :] <= starts[:, None]] = np.inf
    return cost


def _refusal(table: pd.DataFrame) -> SplitError:
    """Which wishes stand against order and ratios: those that, given up, let cuts be found.

    One at a time where one is enough, else two or three together.
    """
    clash = ["ratios"]
    for count in range(1, len(WISHES) + 1):
        tried = combinations(WISHES, count)
        enough = {w for wishes in tried if _cuts(_Problem.of(table, without=wishes)) for w in wishes}
        if enough:
            clash = [wish for wish in WISHES if wish in enough]
            break
    assigned = int(table["split"].notna().sum())
    several = int((table["first"] != table["last"]).sum())
    facts = f"{len(table)} patients, {assigned} of them assigned before, {several} with several index dates"
    if clash == ["ratios"]:
        message = f"no days cut the cohort 60/20/15/5 within 2 % in the order of the index dates: {facts}"
    else:
        words = " and ".join(WISHES[wish] for wish in clash)
        message = f"60/20/15/5 within 2 % in the order of the index dates cannot hold with {words}: {facts}"
    return SplitError(f"{message}.", _NEXT_STEPS[clash[0]], code=f"order_against_{'_and_'.join(clash)}")
