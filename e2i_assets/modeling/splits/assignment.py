"""Who is in train, validation, test and holdout: the assignment of patients, for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits.alike import Alike, EqualRows, alike_groups, place_alike, summary
from e2i_assets.modeling.splits.enforcer import SplitEnforcer, SplitValidation
from e2i_assets.modeling.splits.policy import MINIMUM_COHORT, RATIOS, SplitOrder, patients_of
from e2i_assets.modeling.splits.temporal_order import assign_in_order

_SHARES = np.array(list(RATIOS.values()))
_NAMES = np.array(list(RATIOS), dtype=object)


@dataclass(frozen=True)
class Divided:
    """Rows divided into four splits, the split of each patient, and the verdict.

    Attributes:
        assigned: `patient_id`, `split`, and `alike`, the group of patients with equal rows; null for most.
        alike: the counts of those.
    """

    frames: Mapping[str, pd.DataFrame]
    assigned: pd.DataFrame
    validation: SplitValidation
    alike: Alike


def divide(
    rows: pd.DataFrame,
    existing: pd.DataFrame,
    *,
    targets: Sequence[str],
    order: SplitOrder,
    time_column: str,
    seed: int,
    equal_rows: EqualRows = "same_split",
    keys: Sequence[np.ndarray] = (),
) -> Divided:
    """Split rows by patient, stratified by the targets, and judge the result.

    Args:
        rows: one per journey, with `patient_id`; a patient of several is stratified by the first.
        existing, seed: see `assign_splits`.
        targets: outcomes of the classification scopes; none where nothing is classified.
        order: `temporal` puts every index date of a split before those of the next.
        time_column: the index date; read in temporal order only.
        equal_rows: `allow` assigns patients alike as any others, else they come into one split.
        keys: for each outcome a number per row, equal for rows of equal features and outcome.

    Raises:
        SplitError: patients cannot be assigned; the code and the message say what stands against it.
    """
    read = time_column if order == "temporal" else None
    alike = alike_groups(rows["patient_id"], keys) if len(keys) else pd.Series(dtype=float)
    patients = patients_of(rows, targets, read)
    if len(alike) and equal_rows != "allow":
        patients = patients.assign(alike=patients["patient_id"].map(alike))
    assigned = assign_splits(patients, existing, seed=seed, order=order)
    assigned["alike"] = assigned["patient_id"].map(alike).astype("Int64")
    split = rows["patient_id"].map(assigned.set_index("patient_id")["split"])
    frames = {name: rows[split == name].reset_index(drop=True) for name in RATIOS}
    validation = SplitEnforcer().validate_splits(*frames.values(), targets=targets, time_column=read)
    return Divided(frames, assigned, validation, summary(assigned, equal_rows))


def assign_splits(
    patients: pd.DataFrame, existing: pd.DataFrame, *, seed: int, order: SplitOrder = "random"
) -> pd.DataFrame:
    """Give every patient one split, keeping for ever what was given before.

    In random order new patients fill what each stratum lacks of its ratios, counting old and new. Whole
    places go by need; each one left over by rounding goes where it mends most, of what the stratum lacks and
    of what the strata before it left uneven, so that many small strata cannot add up to a wrong total.
    In temporal order see `assign_in_order`. Patients alike come into one split (see `place_alike`).

    Args:
        patients: one row per patient now in the cohort, columns `patient_id` and `stratum`, in temporal
            order `first` and `last` index day as well; where there are patients alike, `alike`, the number of
            their group, null for others.
        existing: earlier assignments, columns `patient_id` and `split`. Patients who have left the cohort
            may be there; they count for nothing here.
        seed: of the draw. The result depends on it and on the sets of patients, not on the order of rows.

    Returns:
        `patient_id` and `split`, one row per row of `patients`, sorted by `patient_id`.

    Raises:
        SplitError: a missing column, a null, a patient twice, a split name that the policy has not, too few
            patients, or in temporal order wishes that cannot hold together.
    """
    _check("patients", patients, "stratum")
    _check("existing", existing, "split")
    unknown = set(existing["split"]) - set(RATIOS)
    if unknown:
        raise SplitError(f"existing.split: unknown {sorted(map(str, unknown))}; known are {list(RATIOS)}")
    if len(patients) < MINIMUM_COHORT:
        raise SplitError(
            f"{len(patients)} patients; four splits within 2 % need at least {MINIMUM_COHORT}.",
            "Load more patients, or relax the criterion that removes most (see the attrition table).",
            code="too_few_patients",
        )
    table = patients.sort_values("patient_id", ignore_index=True)
    table["split"] = table["patient_id"].map(existing.set_index("patient_id")["split"]).astype(object)
    if order == "temporal":
        table["split"] = assign_in_order(table)
    else:
        if "alike" in table:
            place_alike(table, seed)
        if table["split"].isna().any():
            _fill(table, seed)
    return table[["patient_id", "split"]]


def _check(name: str, frame: pd.DataFrame, second: str) -> None:
    for column in ("patient_id", second):
        if column not in frame.columns:
            raise SplitError(f"{name}: column {column} is missing", code="missing_column")
        nulls = int(frame[column].isna().sum())
        if nulls:
            raise SplitError(f"{name}.{column}: {nulls} nulls; every patient needs a value")
    repeated = int(frame["patient_id"].duplicated().sum())
    if repeated:
        raise SplitError(f"{name}.patient_id: {repeated} repeated; give one row per patient")


def _fill(table: pd.DataFrame, seed: int) -> None:
    """Draw a split for each patient of `table` who has none."""
    is_new = table["split"].isna()
    counts = _counts(table)
    arrivals = table.loc[is_new, "stratum"].value_counts().reindex(counts.index, fill_value=0)
    places = _places(counts.to_numpy(), arrivals.to_numpy())
    # Sorted by stratum, a random order within: the places of each stratum are dealt out in that order.
    draw = pd.Series(np.random.default_rng(seed).random(len(table)))[is_new]
    drawn = pd.DataFrame({"stratum": table["stratum"], "draw": draw}).loc[is_new]
    rows = drawn.sort_values(["stratum", "draw"]).index
    table.loc[rows, "split"] = np.repeat(np.tile(_NAMES, len(counts)), places.ravel())


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
class Stability:
    """Patients who kept the split that they had, who are new, and who are now in another split."""

    kept: int
    new: int
    moved: int


def compare_assignments(before: pd.DataFrame, now: pd.DataFrame) -> Stability:
    """What became of the patients between two assignments (`patient_id`, `split`).

    Raises:
        SplitError: a missing column, a null, or a patient twice.
    """
    _check("before", before, "split")
    _check("now", now, "split")
    earlier = now["patient_id"].map(before.set_index("patient_id")["split"])
    unmoved = int((earlier == now["split"]).sum())
    new = int(earlier.isna().sum())
    return Stability(unmoved, new, len(now) - unmoved - new)
