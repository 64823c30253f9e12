"""The verdict on four splits: shares, patients, strata and order, each checked on the frames themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import pandas as pd
from pandas.api.types import infer_dtype, is_float_dtype

from e2i_assets.contracts.spelling import as_key
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits.policy import (
    MINIMUM_PATIENTS,
    RATIOS,
    TOLERANCE,
    days,
    strata,
    stratum_tolerance,
)

NUMBERS = ("integer", "floating", "boolean")
EXACT = 2**53
"""From here on several integers are the same float."""


class Violation(NamedTuple):
    """A rule that does not hold: `missing_column`, `null_ids`, `id_types`, `too_few_patients`,
    `patient_overlap`, `ratios`, `one_class`, `stratification`, `bad_dates` or `temporal_order`; and how, in
    words.
    """

    rule: str
    message: str


@dataclass(frozen=True)
class SplitValidation:
    """The verdict on four splits.

    Attributes:
        violations: what is wrong, in words; counts only, never an id.
        broken: the rule that each violation is of (see `Violation`).
        ratios, counts: share and number of distinct patients per split (a split that cannot be counted
            is absent).
    """

    is_valid: bool
    violations: tuple[str, ...]
    broken: tuple[str, ...]
    ratios: Mapping[str, float]
    counts: Mapping[str, int]


class SplitEnforcer:
    """Judges four splits by the policy: 60/20/15/5 ± 2 % of the patients, none of them in two splits."""

    def validate_splits(
        self,
        train_df: pd.DataFrame,
        val_df: pd.DataFrame,
        test_df: pd.DataFrame,
        holdout_df: pd.DataFrame,
        *,
        id_column: str = "patient_id",
        targets: Sequence[str] = (),
        time_column: str | None = None,
    ) -> SplitValidation:
        """Check shares, minimum sizes and overlap; what cannot be checked is a violation.

        Args:
            train_df, val_df, test_df, holdout_df: the splits; a patient may have several rows in one.
            id_column: the column that tells patients apart, however it is spelt (`contracts.spelling`).
            targets: outcomes to be stratified by: each of their combinations is split 60/20/15/5, too
                (`stratum_tolerance`). Nothing is checked when left out.
            time_column: the index date, where the splits are to be in temporal order: every day of a split
                before every day of the next. Nothing is checked when left out.

        Raises:
            TypeError: a split is no pandas frame.
        """
        frames = dict(zip(RATIOS, (train_df, val_df, test_df, holdout_df), strict=True))
        for split, frame in frames.items():
            if not isinstance(frame, pd.DataFrame):
                raise TypeError(f"{split} must be a pandas DataFrame, not {type(frame)}")
        violations = list(_columns(frames, [id_column, *targets]))
        named = {split: frame for split, frame in frames.items() if id_column in frame.columns}
        violations += _id_types({split: frame[id_column].dropna() for split, frame in named.items()})
        frames |= {s: frame.assign(**{id_column: as_key(frame[id_column])}) for s, frame in named.items()}
        members = {
            split: frames[split].dropna(subset=id_column).drop_duplicates(id_column) for split in named
        }
        counts = {split: len(frame) for split, frame in members.items()}
        ratios = _ratios(counts)
        violations += _sizes(counts, ratios)
        violations += _overlaps({split: pd.Index(frame[id_column]) for split, frame in members.items()})
        if not any(violation.rule == "missing_column" for violation in violations):
            violations += _nulls(frames, id_column)
            violations += _stratification(members, targets) if targets else ()
        violations += _order(frames, time_column) if time_column else ()
        return SplitValidation(
            not violations,
            tuple(v.message for v in violations),
            tuple(v.rule for v in violations),
            ratios,
            counts,
        )


def _columns(frames: Mapping[str, pd.DataFrame], required: Sequence[str]) -> Iterator[Violation]:
    for split, frame in frames.items():
        if absent := sorted(set(required) - set(frame.columns)):
            yield Violation("missing_column", f"{split}: column {', '.join(absent)} is missing")


def _nulls(frames: Mapping[str, pd.DataFrame], id_column: str) -> Iterator[Violation]:
    for split, frame in frames.items():
        if nulls := int(frame[id_column].isna().sum()):
            yield Violation("null_ids", f"{split}: {nulls} rows without {id_column}")


def _ratios(counts: Mapping[str, int]) -> dict[str, float]:
    """Shares of the patients; none where a split is missing from the counts, or nobody is there."""
    total = sum(counts.values())
    if len(counts) < len(RATIOS) or not total:
        return {}
    return {split: count / total for split, count in counts.items()}


def _sizes(counts: Mapping[str, int], ratios: Mapping[str, float]) -> Iterator[Violation]:
    for split, count in counts.items():
        if count < MINIMUM_PATIENTS[split]:
            needed = MINIMUM_PATIENTS[split]
            yield Violation("too_few_patients", f"{split}: {count} patients, at least {needed} are needed")
    for split, ratio in ratios.items():
        if abs(ratio - RATIOS[split]) > TOLERANCE + 1e-9:
            allowed = f"{RATIOS[split]:.0%} ± {TOLERANCE:.0%} are wanted"
            yield Violation("ratios", f"{split}: {ratio:.1%} of the patients, {allowed}")


def _id_types(ids: Mapping[str, pd.Series[Any]]) -> Iterator[Violation]:
    """The number 17 may have been the text "17" or "017"; and a float may have been one of several ids."""
    kinds = {split: infer_dtype(values.astype(object)) for split, values in ids.items() if len(values)}
    mixed = any(kind.startswith("mixed") for kind in kinds.values())
    if mixed or len({"number" if kind in NUMBERS else kind for kind in kinds.values()}) > 1:
        types = ", ".join(f"{kind} in {split}" for split, kind in kinds.items())
        yield Violation("id_types", f"patients are told apart by different types: {types}")
    for split, values in ids.items():
        if is_float_dtype(values) and (values.abs() >= EXACT).any():
            yield Violation("id_types", f"{split}: ids as large as 2^53 cannot be told apart as floats")


def _overlaps(members: Mapping[str, pd.Index]) -> Iterator[Violation]:
    for one, other in combinations(members, 2):
        if shared := len(members[one].intersection(members[other])):
            yield Violation("patient_overlap", f"{shared} patients are in both {one} and {other}")


def _stratification(members: Mapping[str, pd.DataFrame], targets: Sequence[str]) -> Iterator[Violation]:
    labels = {split: strata(frame, targets) for split, frame in members.items()}
    table = pd.DataFrame({split: values.value_counts() for split, values in labels.items()}).fillna(0)
    if len(table) < 2:
        yield Violation(
            "one_class",
            f"every patient has the same {', '.join(targets)}, so there is nothing to tell apart",
        )
    everyone = float(table.to_numpy().sum())
    for stratum, counts in table.iterrows():
        total = float(counts.sum())
        for split, share in RATIOS.items():
            tolerance = stratum_tolerance(total, everyone, share)
            if abs(counts[split] - share * total) > tolerance:
                yield Violation(
                    "stratification",
                    f"{split}: {counts[split]:.0f} of the {total:.0f} patients with {stratum}, "
                    f"{share * total:.0f} ± {tolerance:.0f} are wanted",
                )


def _order(frames: Mapping[str, pd.DataFrame], time_column: str) -> Iterator[Violation]:
    zones = {
        str(getattr(frame[time_column].dtype, "tz", None))
        for frame in frames.values()
        if time_column in frame.columns and len(frame)
    }
    if len(zones) > 1:
        yield Violation("bad_dates", f"{time_column} is in different time zones: {', '.join(sorted(zones))}")
        return
    try:
        spans = {split: days(frame, time_column, split) for split, frame in frames.items() if len(frame)}
    except SplitError as error:
        yield Violation(error.code, str(error))
        return
    for (one, before), (other, after) in pairwise(spans.items()):
        if late := int((before >= after.min()).sum()):
            yield Violation(
                "temporal_order", f"{late} rows of {one} are not before the first {time_column} of {other}"
            )
