"""What protects a model from a wrong cohort: members enough, each observed through the windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from e2i_assets.gates.verdict import Gate, Verdict, not_asked_for, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.cohorts.attrition import CohortResult
    from e2i_assets.cohorts.config import TemporalRequirements


@dataclass(frozen=True)
class CohortBuilt:
    """A cohort's members and how they were chosen; `windows` is None where the cohort file asks for none."""

    members: pl.DataFrame
    result: CohortResult
    windows: TemporalRequirements | None
    minimum_size: int
    death_date_field: str | None = None


def _cohort_size(built: CohortBuilt) -> Verdict:
    if not built.result.total_count or not built.result.eligibility_log:
        return refuse(
            "nothing_evaluated",
            f"{built.result.total_count} journeys met {len(built.result.eligibility_log)} rules.",
            "Load journeys of this brand and indication; e2i data status shows what is there.",
            journeys=built.result.total_count,
        )
    if missing := _absent(built.members, "patient_journey_id"):
        return missing
    size, keys = built.members.height, built.members["patient_journey_id"].drop_nulls().n_unique()
    if not size == keys == built.result.eligible_count:
        return refuse(
            "count_mismatch",
            f"{size} members with {keys} different patient_journey_id, but the attrition table ends at "
            f"{built.result.eligible_count}.",
            "This is a fault of the cohort engine; report it.",
            members=size,
            keys=keys,
        )
    if size >= max(1, built.minimum_size):
        return ok(f"{size} eligible of {built.result.total_count}", members=size, minimum=built.minimum_size)
    return refuse(
        "cohort_too_small",
        f"{size} eligible of {built.result.total_count}; at least {max(1, built.minimum_size)} are needed.",
        "Read e2i cohort attrition: the rule that alone keeps most out comes first."
        if size < built.result.total_count
        else "Every journey is eligible: load more, or lower minimum_size in the cohort file.",
        members=size,
        minimum=built.minimum_size,
    )


def _temporal_windows(built: CohortBuilt) -> Verdict:
    windows = built.windows
    if windows is None and built.members.height:
        return not_asked_for(
            "the cohort file asks for no window (temporal_requirements: null): nobody has an index date, and "
            "what was known when is not judged"
        )
    if windows is None:
        return _nobody()
    dates = (windows.index_date_field, "first_observation_date", "last_observation_date")
    if missing := _absent(built.members, *dates, *filter(None, [built.death_date_field])):
        return missing
    if zoned := [name for name in dates if not _counts_days(built.members[name].dtype)]:
        return refuse(
            "not_a_date",
            f"{', '.join(zoned)}: neither a date nor a timestamp without time zone; its days do not count.",
            "Convert the columns to dates of the place where the patient was seen.",
            columns=", ".join(zoned),
        )
    index, start, end = (pl.col(name).cast(pl.Date) for name in dates)
    end = _known_until(built, end)
    holds = ((index - start).dt.total_days() >= windows.lookback_days) & (
        (end - index).dt.total_days() >= windows.followup_days
    )
    outside = built.members.filter(~holds.fill_null(value=False)).height
    limits = (
        f"{windows.lookback_days} days before and {windows.followup_days} after {windows.index_date_field}"
    )
    if built.members.height and not outside:
        return ok(f"every member is observed {limits}", members=built.members.height)
    if not built.members.height:
        return _nobody()
    return refuse(
        "outside_window",
        f"{outside} of {built.members.height} members are not observed {limits}.",
        "Correct the observation dates or the temporal requirements.",
        outside=outside,
    )


def _known_until(built: CohortBuilt, end: pl.Expr) -> pl.Expr:
    """The last day of observation, no later than death and the day after the source's record."""
    limits = [end]
    if isinstance(built.members.schema.get("source_timestamp"), pl.Datetime):
        limits.append(pl.col("source_timestamp").dt.date() + pl.duration(days=1))
    if built.death_date_field:
        limits.append(pl.col(built.death_date_field).cast(pl.Date))
    return pl.when(end.is_not_null()).then(pl.min_horizontal(limits))


def _nobody() -> Verdict:
    return refuse(
        "nothing_evaluated", "there are no members to look at.", "Read e2i cohort attrition: nobody is left."
    )


def _counts_days(dtype: pl.DataType) -> bool:
    zoneless = isinstance(dtype, pl.Datetime) and dtype.time_zone is None
    return zoneless or dtype in (pl.Date, pl.Null)


def _absent(members: pl.DataFrame, *names: str) -> Verdict | None:
    missing = [name for name in names if name not in members.columns]
    if not missing:
        return None
    return refuse(
        "missing_column",
        f"the members have no {', '.join(missing)}.",
        "Add the columns to patient_journeys and materialize the raw tables again.",
        columns=", ".join(missing),
    )


COHORT_SIZE = Gate("cohort_size", "The cohort has members enough, as its attrition table says.", _cohort_size)
TEMPORAL_WINDOWS = Gate(
    "temporal_windows",
    "Every member is observed through lookback and follow-up.",
    _temporal_windows,
    ("CC_005",),
)
