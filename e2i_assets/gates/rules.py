"""The rules that protect a model: each a pure judgement of what a stage made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from e2i_assets.contracts.tables import TABLES
from e2i_assets.gates.split_rules import ASK
from e2i_assets.gates.verdict import Gate, Verdict, not_asked_for, ok, refuse
from e2i_assets.modeling.scope import PLAUSIBILITY

if TYPE_CHECKING:
    from e2i_assets.cohorts.attrition import CohortResult
    from e2i_assets.cohorts.config import TemporalRequirements
    from e2i_assets.modeling.evaluation import CriterionResult
    from e2i_assets.modeling.fitted import FitCheck
    from e2i_assets.quality.report import QCReport


@dataclass(frozen=True)
class Origin:
    """Where a raw table comes from: the last load in it and the snapshot that it sees, both read with it."""

    load: int | None
    snapshot: str | None


@dataclass(frozen=True)
class Quality:
    """A quality report, and the origin of each raw table."""

    report: QCReport
    origins: Mapping[str, Origin]


def _same_snapshot(quality: Quality) -> Verdict:
    if not quality.origins:
        return refuse(
            "nothing_evaluated", "no raw table was given.", "Materialize all raw tables of the partition."
        )
    known = {name: o for name, o in quality.origins.items() if type(o.load) is int and o.snapshot}
    if unknown := sorted(set(TABLES) - set(known)):
        return refuse(
            "unknown_load",
            f"it is not known which snapshot of the warehouse {', '.join(unknown)} come from.",
            "Materialize these raw tables again.",
            tables=len(unknown),
        )
    loads = sorted({origin.load for origin in known.values() if origin.load is not None})
    snapshots = len({origin.snapshot for origin in known.values()})
    if len(loads) == 1:
        # Rows change with a load only, and each table was read together with the number of its last one.
        how = "one snapshot" if snapshots == 1 else f"{snapshots} snapshots without a load between them"
        return ok(f"all raw tables come from load {loads[0]}, {how}", load=loads[0], snapshots=snapshots)
    return refuse(
        "mixed_loads",
        f"the raw tables come from different loads ({', '.join(map(str, loads))}), so they may not agree.",
        "Materialize all raw tables of the partition again, in one run.",
        loads=len(loads),
    )


def _no_blockers(quality: Quality) -> Verdict:
    blockers = quality.report.blockers
    if not blockers:
        return ok("no blocking issue in the three layers", status=quality.report.status)
    named = "; ".join(blocker.message for blocker in blockers[:5])
    more = f" and {len(blockers) - 5} more" if len(blockers) > 5 else ""
    return refuse(
        "quality_blockers",
        f"{len(blockers)} blocking issues: {named}{more}.",
        quality.report.fix_first,
        [vars(blocker) for blocker in blockers],
        blockers=len(blockers),
    )


def _qc_score(quality: Quality) -> Verdict:
    score, threshold = quality.report.score, quality.report.score_threshold
    if score >= threshold and (ungraded := quality.report.ungraded):
        return refuse(
            "not_graded",
            f"the score is not of the whole contract: {ungraded[0].message}.",
            quality.report.fix_first,
            ungraded=len(ungraded),
        )
    if score >= threshold:
        return ok(f"score {score:.3f}, threshold {threshold}", score=score, threshold=threshold)
    return refuse(
        "score_below_threshold",
        f"quality score {score:.3f} is below {threshold}; lowest is {quality.report.lowest_dimension}.",
        quality.report.fix_first,
        score=score,
        threshold=threshold,
    )


SAME_SNAPSHOT = Gate(
    "same_snapshot", "All raw tables come from one snapshot, or from the same load.", _same_snapshot
)
NO_BLOCKERS = Gate("no_blockers", "No layer of quality control found a blocking issue.", _no_blockers)
QC_SCORE = Gate("qc_score", "The weighted score of the five dimensions is at least 0.80.", _qc_score)


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


def _fitted_on_train(check: FitCheck) -> Verdict:
    if check.violations:
        return refuse(
            "not_train_alone",
            f"statistics that are not those of train: {'; '.join(check.violations[:5])}.",
            "Fit the preprocessor on the train split only; exclude features that have no value there.",
            violations=len(check.violations),
        )
    if not check.compared:
        return refuse(
            "nothing_evaluated", "the preprocessor has no feature to compare.", "Name features in the scope."
        )
    return ok("every statistic of the preprocessor is that of train alone", features=check.compared)


FITTED_ON_TRAIN = Gate(
    "fitted_on_train", "The fitted statistics are recomputed from train and must agree.", _fitted_on_train
)


def _success_criteria(results: tuple[CriterionResult, ...]) -> Verdict:
    if not results:
        return refuse("no_criteria", "the scope states no success criteria.", "State them in config/scopes.")
    figures = {r.name: r.value for r in results}
    if doubted := [r.reason for r in results if r.name == PLAUSIBILITY and not r.ok]:
        return refuse("implausible", f"{doubted[0]}.", ASK, **figures)
    if failed := [r for r in results if not r.ok]:
        return refuse(
            "criteria_not_met",
            f"{_against(failed)}.",
            "Look at the validation metrics and features; this model is not published further.",
            **figures,
        )
    high = [f"; {r.reason}" for r in results if r.name == PLAUSIBILITY and (r.value or 0) > r.threshold]
    return ok(_against(results) + "".join(high), **figures)


def _against(results: Iterable[CriterionResult]) -> str:
    return "; ".join(
        f"{r.name}: {'unavailable' if r.value is None else f'{r.value:.3f}'} against {r.threshold}"
        for r in results
    )


SUCCESS_CRITERIA = Gate("success_criteria", "The test split meets the scope's criteria.", _success_criteria)


@dataclass(frozen=True)
class Answers:
    """Probabilities of the same probe rows by the model and by the bundle, shape (n,)."""

    model: np.ndarray
    bundle: np.ndarray


TOLERANCE = 1e-6
MINIMUM_PROBES = 10


def _bundle_answers(answers: Answers) -> Verdict:
    probes = len(answers.model)
    if answers.model.shape != answers.bundle.shape or probes < MINIMUM_PROBES:
        return refuse(
            "too_few_answers" if probes else "nothing_evaluated",
            f"model and bundle answered {probes} and {len(answers.bundle)} probe rows; both must answer the "
            f"same, at least {MINIMUM_PROBES}.",
            "Give the validation split enough patients, and build the bundle again.",
            probes=probes,
        )
    if not (np.isfinite(answers.model).all() and np.isfinite(answers.bundle).all()):
        return refuse(
            "no_probability",
            "model or bundle answered a probe row with something that is no number.",
            "Look at the features that are missing in the validation split, and train again.",
        )
    gap = float(abs(answers.model - answers.bundle).max())
    if gap <= TOLERANCE:
        return ok(f"bundle and model agree to {TOLERANCE:g} on {len(answers.model)} rows", gap=gap)
    return refuse(
        "bundle_differs",
        f"bundle and model differ by {gap:g}, more than {TOLERANCE:g}.",
        "Build the bundle again from the published model.",
        gap=gap,
    )


BUNDLE_ANSWERS = Gate("bundle_answers", "The bundle gives the model's own probabilities.", _bundle_answers)
