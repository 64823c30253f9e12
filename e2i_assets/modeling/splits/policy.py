"""What good splits are: the guide's shares and tolerance, and what a patient counts as in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Literal

import pandas as pd

from e2i_assets.contracts.spelling import as_label
from e2i_assets.modeling.errors import SplitError

SplitOrder = Literal["random", "temporal"]

RATIOS = {"train": 0.60, "validation": 0.20, "test": 0.15, "holdout": 0.05}
"""The guide's split policy; the order is the order of use, and of time in temporal splits."""
TOLERANCE = 0.02
ROUNDING = 2
"""Patients by which whole numbers may put a stratum off its shares while patients arrive one by one."""
MINIMUM_PATIENTS = {"train": 10, "validation": 10, "test": 10, "holdout": 1}
MINIMUM_COHORT = 67
"""Below it, 15 % are fewer than the ten patients that test needs."""


def stratum_tolerance(stratum: float, everyone: float, share: float) -> float:
    """By how many patients a split may be off its share of a stratum.

    2 % of the stratum, as of the cohort. Where that is less than chance makes of a split drawn without a look
    at the outcome, two standard deviations of such a draw (hypergeometric), as a split in temporal order is
    one; and never less than rounding needs.
    """
    chance = 2 * math.sqrt(stratum * share * (1 - share) * (everyone - stratum) / max(everyone - 1, 1))
    return max(TOLERANCE * stratum, chance, ROUNDING) + 1e-9


def strata(rows: pd.DataFrame, targets: Sequence[str]) -> pd.Series:
    """The outcomes that a row is stratified by, as one label such as `started=1`; unknown ones count, too."""
    labels = [f"{target}=" + as_label(rows[target]).fillna("unknown").astype(object) for target in targets]
    if not labels:
        return pd.Series("everyone", index=rows.index, dtype=object)
    return reduce(lambda one, other: one + ", " + other, labels)


def days(rows: pd.DataFrame, column: str, name: str) -> pd.Series:
    """A time column as calendar days of its own zone.

    Raises:
        SplitError: `bad_dates`: the column is missing, has nulls, mixes time zones or holds no ISO dates.
    """
    if column not in rows.columns:
        raise SplitError(f"{name}: column {column} is missing", code="bad_dates")
    values = rows[column]
    if not pd.api.types.is_datetime64_any_dtype(values):
        try:
            values = pd.to_datetime(values, format="ISO8601")
        except (ValueError, TypeError) as error:
            raise SplitError(
                f"{name}.{column}: holds no ISO dates, or dates of several time zones", code="bad_dates"
            ) from error
        if not pd.api.types.is_datetime64_any_dtype(values):
            raise SplitError(f"{name}.{column}: mixes time zones", code="bad_dates")
    if nulls := int(values.isna().sum()):
        raise SplitError(
            f"{name}.{column}: {nulls} nulls; every journey needs its index date", code="bad_dates"
        )
    return values.dt.tz_localize(None).dt.normalize()


def patients_of(rows: pd.DataFrame, targets: Sequence[str], time_column: str | None = None) -> pd.DataFrame:
    """One row per patient: `patient_id`, `stratum` (of the first row) and, with a time column, `first` and
    `last` index day.

    Raises:
        SplitError: a column is missing or null, or the dates cannot be read.
    """
    if absent := sorted({"patient_id", *targets} - set(rows.columns)):
        raise SplitError(f"features: columns {', '.join(absent)} are missing", code="missing_column")
    table = pd.DataFrame({"patient_id": rows["patient_id"], "stratum": strata(rows, targets)})
    patients = table.drop_duplicates("patient_id")
    if time_column is None:
        return patients
    when = days(rows, time_column, "features").groupby(rows["patient_id"]).agg(first="min", last="max")
    return patients.join(when, on="patient_id")
