"""Who is in train, validation, test and holdout: the assignment of patients, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.modeling.errors import SplitError

RATIOS = {"train": 0.60, "validation": 0.20, "test": 0.15, "holdout": 0.05}
"""The guide's split policy; the order is the order of use."""
TOLERANCE = 0.02
MINIMUM_PATIENTS = {"train": 10, "validation": 10, "test": 10, "holdout": 1}

_SHARES = np.array(list(RATIOS.values()))
_NAMES = np.array(list(RATIOS), dtype=object)


def assign_splits(patients: pd.DataFrame, existing: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Give every patient one split, keeping for ever what was given before.

    New patients fill what each stratum lacks of its ratios, counting old and new. Whole places go by need;
    each one left over by rounding goes where it mends most, of what the stratum lacks and of what the
    strata before it left uneven, so that many small strata cannot add up to a wrong total.

    Args:
        patients: one row per patient now in the cohort, columns `patient_id` and `stratum`.
        existing: earlier assignments, columns `patient_id` and `split`. Patients who have left the cohort
            may be there; they count for nothing here.
        seed: of the draw. The result depends on it and on the sets of patients, not on the order of rows.

    Returns:
        `patient_id` and `split`, one row per row of `patients`, sorted by `patient_id`.

    Raises:
        SplitError: a missing column, a null, a patient twice, or a split name that the policy has not.
    """
    _check("patients", patients, "stratum")
    _check("existing", existing, "split")
    unknown = set(existing["split"]) - set(RATIOS)
    if unknown:
        raise SplitError(f"existing.split: unknown {sorted(map(str, unknown))}; known are {list(RATIOS)}")

    table = patients[["patient_id", "stratum"]].sort_values("patient_id", ignore_index=True)
    table["split"] = table["patient_id"].map(existing.set_index("patient_id")["split"]).astype(object)
    is_new = table["split"].isna()
    if is_new.any():
        counts = _counts(table)
        arrivals = table.loc[is_new, "stratum"].value_counts().reindex(counts.index, fill_value=0)
        places = _places(counts.to_numpy(), arrivals.to_numpy())
        # Sorted by stratum, a random order within: the places of each stratum are dealt out in that order.
        draw = pd.Series(np.random.default_rng(seed).random(len(table)))[is_new]
        order = pd.DataFrame({"stratum": table["stratum"], "draw": draw}).loc[is_new]
        rows = order.sort_values(["stratum", "draw"]).index
        table.loc[rows, "split"] = np.repeat(np.tile(_NAMES, len(counts)), places.ravel())
    return table[["patient_id", "split"]]


def _check(name: str, frame: pd.DataFrame, second: str) -> None:
    for column in ("patient_id", second):
        if column not in frame.columns:
            raise SplitError(f"{name}: column {column} is missing")
        nulls = int(frame[column].isna().sum())
        if nulls:
            raise SplitError(f"{name}.{column}: {nulls} nulls; every patient needs a value")
    repeated = int(frame["patient_id"].duplicated().sum())
    if repeated:
        raise SplitError(f"{name}.patient_id: {repeated} repeated; give one row per patient")


def _counts(table: pd.DataFrame) -> pd.DataFrame:
    """Patients already placed, stratum by split; every stratum of the table has a row."""
    strata = np.sort(table["stratum"].unique())
    placed = table.dropna(subset="split")
    return pd.crosstab(placed["stratum"], placed["split"]).reindex(
        index=strata, columns=list(RATIOS), fill_value=0
    )


def _places(placed: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """How many of each stratum's new patients go to each split, (strata, splits)."""
    lacking = np.outer(placed.sum(axis=1) + arrivals, _SHARES) - placed
    places = np.zeros_like(placed)
    carried = np.zeros(len(_SHARES))
    # Strata without arrivals first: what they lack can only be made good elsewhere.
    for row in np.argsort(arrivals > 0, kind="stable"):
        if arrivals[row]:
            need = np.clip(lacking[row], 0, None)
            share = need * arrivals[row] / need.sum()
            places[row] = np.floor(share + 1e-9)
            left = arrivals[row] - places[row].sum()
            # What the stratum lacks counts for itself and in the total: the steepest way to mend both.
            urgency = np.round(2 * (lacking[row] - places[row]) + carried, 9)
            places[row, np.argsort(-urgency, kind="stable")[:left]] += 1
        carried += lacking[row] - places[row]
    return places


@dataclass(frozen=True)
class SplitValidation:
    """The verdict on four splits.

    Attributes:
        violations: what is wrong, in words; counts only, never an id.
        ratios, counts: share and number of distinct patients per split (a split that cannot be counted
            is absent).
    """

    is_valid: bool
    violations: tuple[str, ...]
    ratios: Mapping[str, float]
    counts: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "is_valid": self.is_valid,
            "violations": list(self.violations),
            "ratios": dict(self.ratios),
            "counts": dict(self.counts),
        }


class SplitEnforcer:
    """Judges four splits by the policy: 60/20/15/5 ± 2 % of the patients, none of them in two splits."""

    def validate_splits(
        self,
        *,
        train_df: pd.DataFrame,
        val_df: pd.DataFrame,
        test_df: pd.DataFrame,
        holdout_df: pd.DataFrame,
        id_column: str = "patient_id",
    ) -> SplitValidation:
        """Check ratios, minimum sizes and overlap; what cannot be checked is a violation.

        Args:
            train_df, val_df, test_df, holdout_df: the splits; a patient may have several rows in one.
            id_column: the column that tells patients apart.
        """
        frames = dict(zip(RATIOS, (train_df, val_df, test_df, holdout_df), strict=True))
        violations: list[str] = []
        members: dict[str, pd.Index] = {}
        for split, frame in frames.items():
            if id_column not in frame.columns:
                violations.append(f"{split}: column {id_column} is missing, so patients cannot be told apart")
                continue
            nulls = int(frame[id_column].isna().sum())
            if nulls:
                violations.append(f"{split}: {nulls} rows without {id_column}")
            members[split] = pd.Index(frame[id_column].dropna().unique())

        counts = {split: len(ids) for split, ids in members.items()}
        violations += [
            f"{split}: {count} patients, at least {MINIMUM_PATIENTS[split]} are needed"
            for split, count in counts.items()
            if count < MINIMUM_PATIENTS[split]
        ]
        for one, other in combinations(members, 2):
            shared = len(members[one].intersection(members[other]))
            if shared:
                violations.append(f"{shared} patients are in both {one} and {other}")
        ratios = _ratios(counts)
        violations += [
            f"{split}: {ratio:.1%} of the patients, {RATIOS[split]:.0%} ± {TOLERANCE:.0%} are wanted"
            for split, ratio in ratios.items()
            if abs(ratio - RATIOS[split]) > TOLERANCE + 1e-9
        ]
        return SplitValidation(not violations, tuple(violations), ratios, counts)


def _ratios(counts: Mapping[str, int]) -> dict[str, float]:
    """Shares of the patients; none where a split is missing from the counts, or nobody is there."""
    total = sum(counts.values())
    if len(counts) < len(RATIOS) or not total:
        return {}
    return {split: count / total for split, count in counts.items()}
