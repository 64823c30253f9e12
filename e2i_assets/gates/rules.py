"""The rules that protect a model: each a pure judgement of what a stage made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from e2i_assets.contracts.tables import TABLES
from e2i_assets.gates.verdict import Gate, Verdict, not_asked_for, not_judged, ok, refuse
from e2i_assets.modeling.alike import NOBODY_ALIKE, Alike
from e2i_assets.modeling.scope import PLAUSIBILITY
from e2i_assets.modeling.split_policy import MINIMUM_COHORT, RATIOS

if TYPE_CHECKING:
    from e2i_assets.cohorts.attrition import CohortResult
    from e2i_assets.cohorts.config import TemporalRequirements
    from e2i_assets.modeling.evaluation import CriterionResult
    from e2i_assets.modeling.fitted import FitCheck
    from e2i_assets.modeling.split_enforcer import SplitValidation
    from e2i_assets.modeling.splits import Stability
    from e2i_assets.quality.leakage import LeakageReport
    from e2i_assets.quality.report import QCReport
    from e2i_assets.quality.splits import SplitQuality


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
        "Read e2i cohort attrition: the rule that alone keeps most out comes first.",
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
        return refuse("nothing_evaluated", "there are no members.", "Read e2i cohort attrition.")
    dates = (windows.index_date_field, "first_observation_date", "last_observation_date")
    if missing := _absent(built.members, *dates):
        return missing
    if zoned := [name for name in dates if not _counts_days(built.members[name].dtype)]:
        return refuse(
            "not_a_date",
            f"{', '.join(zoned)}: neither a date nor a timestamp without time zone; its days do not count.",
            "Convert the columns to dates of the place where the patient was seen.",
            columns=", ".join(zoned),
        )
    index, start, end = (pl.col(name).cast(pl.Date) for name in dates)
    holds = ((index - start).dt.total_days() >= windows.lookback_days) & (
        (end - index).dt.total_days() >= windows.followup_days
    )
    outside = built.members.filter(~holds.fill_null(value=False)).height
    limits = (
        f"{windows.lookback_days} days before and {windows.followup_days} after {windows.index_date_field}"
    )
    if built.members.height and not outside:
        return ok(f"every member is observed {limits}", members=built.members.height)
    return refuse(
        "outside_window" if outside else "nothing_evaluated",
        f"{outside} of {built.members.height} members are not observed {limits}.",
        "Correct the observation dates or the temporal requirements.",
        outside=outside,
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


@dataclass(frozen=True)
class SplitsMade:
    """The four splits' validation, the leakage audit of each target, who kept their split, grades, and who
    is alike.
    """

    validation: SplitValidation
    leakage: Mapping[str, LeakageReport]
    stability: Stability
    quality: tuple[SplitQuality, ...] = ()
    alike: Alike = NOBODY_ALIKE


SPLIT_REMEDIES = {
    "missing_column": "Build the features again; each split needs patient, index date and outcomes.",
    "null_ids": "Give every row its patient.",
    "id_types": "Give patient_id one type in all splits.",
    "too_few_patients": "Load more patients, or relax the criterion that removes most.",
    "patient_overlap": "ml_split_assignments was altered from outside; restore it.",
    "one_class": "Look at what fills the outcome in the mapping, at its follow-up and at the criteria: both "
    "outcomes must be there.",
    "bad_dates": "Give every journey an index date in one time zone.",
    "temporal_order": "ml_split_assignments was altered from outside; restore it.",
}
LEFT = (
    "Splits never move a patient, so a cohort that many have left may not be within 2 % any more: bring the "
    "cohort back to what it was, or copy its file under a new name, which is split anew."
)
TOGETHER = (
    "Patients with equal rows are kept in one split, and so many of them leave no way to the ratios: where "
    "equal rows are chance (few columns of few values), set equal_rows: allow in the cohort file."
)


def _remedy(made: SplitsMade) -> str:
    """What to do about the first violation: shares that are missed have one of several reasons."""
    broken, patients = made.validation.broken[0], sum(made.validation.counts.values())
    enough = broken in ("ratios", "stratification") or patients >= MINIMUM_COHORT
    together = made.alike.policy != "allow" and made.alike.groups
    if together and enough and broken in ("ratios", "stratification", "too_few_patients"):
        return TOGETHER
    return SPLIT_REMEDIES.get(broken, LEFT)


def _split_ratios(made: SplitsMade) -> Verdict:
    validation = made.validation
    ratios = {f"share_{name}": round(ratio, 4) for name, ratio in validation.ratios.items()}
    if not validation.is_valid:
        more = len(validation.violations) - 5
        return refuse(
            validation.broken[0],
            "; ".join(validation.violations[:5]) + (f"; and {more} more." if more > 0 else "."),
            _remedy(made),
            broken=", ".join(dict.fromkeys(validation.broken)),
            **ratios,
        )
    if not sum(validation.counts.values()):
        return refuse("nothing_evaluated", "no patient was split.", "Read the attrition table of the cohort.")
    return ok("60/20/15/5 within 2 %, stratified, no patient in two splits", **ratios)


def _stable_splits(made: SplitsMade) -> Verdict:
    kept, new, moved = made.stability.kept, made.stability.new, made.stability.moved
    if moved:
        return refuse(
            "patients_moved",
            f"{moved} patients are no longer in the split that they were assigned.",
            "ml_split_assignments was altered from outside; restore it.",
            kept=kept,
            moved=moved,
        )
    if not kept + new:
        return refuse("nothing_evaluated", "no patient was split.", "Read the attrition table of the cohort.")
    return ok(f"no patient changed split: {kept} kept theirs, {new} are new", kept=kept, new=new, moved=0)


def _no_leakage(made: SplitsMade) -> Verdict:
    if not made.leakage and not made.validation.is_valid:
        return not_judged("split_ratios")
    if made.alike.policy == "refuse" and made.alike.patients:
        return refuse(
            "equal_rows",
            f"{made.alike.said}.",
            "Mend the copies at the source (column alike of assigned.parquet says who they are), or set "
            "equal_rows: same_split in the cohort file.",
            patients=made.alike.patients,
            groups=made.alike.groups,
        )
    if not made.leakage:
        return refuse(
            "nothing_evaluated",
            "no target was audited: no scope is named.",
            "Name a scope in the cohort file.",
        )
    findings = [(target, finding) for target, report in made.leakage.items() for finding in report.findings]
    if not findings:
        return _looked_at(made.leakage)
    named = "; ".join(
        f"{f.kind} leakage in {f.column} for {target}: {f.evidence}" for target, f in findings[:5]
    )
    rows = [{"target": target, **vars(finding)} for target, finding in findings]
    if all(f.kind == "plausibility" for _, f in findings):
        return refuse("implausible", f"{named}.", _ASK, rows, findings=len(findings))
    return refuse(
        "leakage",
        f"{named}.",
        " ".join(dict.fromkeys(LEAKAGE_REMEDIES[f.kind] for _, f in findings)),
        rows,
        findings=len(findings),
    )


_ASK = (
    "Ask when each of these columns became known, and say so in the cohort file: available_at: index if on "
    "the index date, role: post_outcome and available_at: outcome if only afterwards."
)
_COLUMNS = "Take the columns out of the features, or correct their role and availability."
LEAKAGE_REMEDIES = {
    "temporal": _COLUMNS,
    "target": _COLUMNS,
    "plausibility": _ASK,
    "contamination": "Rows of one split are in another: remove copies at the source; patients alike who were "
    "assigned earlier stay apart, so copy the cohort file under a new name to split anew, or set equal_rows: "
    "allow where equal rows are chance.",
}


def _split_quality(made: SplitsMade) -> Verdict:
    if not made.quality and not made.validation.is_valid:
        return not_judged("split_ratios")
    if ungraded := [name for name in RATIOS if name not in {q.split for q in made.quality}]:
        reason = "not_graded" if made.quality else "nothing_evaluated"
        return refuse(reason, f"{', '.join(ungraded)} not graded.", "Mend the splits, and grade all four.")
    scores = {f"score_{q.split}": round(q.score, 4) for q in made.quality}
    failed = [q for q in made.quality if q.status == "failed"]
    if not failed:
        return ok(f"lowest score of a split: {min(scores.values()):.3f}", **scores)
    worst = min(failed, key=lambda q: q.score)
    lowest = min(worst.dimensions, key=lambda d: worst.dimensions[d] or 0.0)
    return refuse(
        "score_below_threshold",
        f"quality score {worst.score:.3f} of split {worst.split} is too low; lowest is {lowest}.",
        f"Mend {lowest} at the source; ml_data_quality_reports holds the parts of each split's score.",
        **scores,
    )


def _looked_at(reports: Mapping[str, LeakageReport]) -> Verdict:
    """An audit that found nothing passes only when it has looked everywhere."""
    for target, report in reports.items():
        idle = [kind for kind in ("availability", "target", "contamination") if not report.examined.get(kind)]
        if idle:
            return refuse(
                "nothing_evaluated",
                f"the audit of {target} has not looked at {', '.join(idle)}.",
                "Give it the contract of the features and all four splits.",
            )
        if report.unjudged:
            return refuse(
                "column_not_judged",
                f"features without any value in train: {', '.join(report.unjudged)}.",
                "Exclude them in the cohort file, or load their values.",
                columns=len(report.unjudged),
            )
    judged = {
        kind: sum(r.examined[kind] for r in reports.values())
        for kind in next(iter(reports.values())).examined
    }
    limits = sorted({said for report in reports.values() for said in report.limits})
    undecided = f"; not to be decided: {' · '.join(limits)}" if limits else ""
    open_ = sorted({name for report in reports.values() for name in report.undeclared})
    nobody = f"; nobody has said when these are known: {', '.join(open_)}" if open_ else ""
    return ok(
        f"no leakage found for {', '.join(reports)}{undecided}{nobody}",
        targets=len(reports),
        undeclared=len(open_),
        **judged,
    )


SPLIT_RATIOS = Gate(
    "split_ratios",
    "60/20/15/5 within 2 %, by patient, stratified, in order where asked.",
    _split_ratios,
    ("SplitError", "VaultError"),
)
STABLE_SPLITS = Gate("stable_splits", "A patient keeps their split for ever.", _stable_splits)
SPLIT_QUALITY = Gate(
    "split_quality", "The quality score of every split is at least 0.80.", _split_quality, ("UngradedSplit",)
)
NO_LEAKAGE = Gate(
    "no_leakage", "No feature knows the outcome, the future or another split.", _no_leakage, ("LeakageError",)
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
    said = "; ".join(
        f"{r.name}: {'unavailable' if r.value is None else f'{r.value:.3f}'} against {r.threshold}"
        for r in results
    )
    if doubted := [r.reason for r in results if r.name == PLAUSIBILITY and not r.ok]:
        return refuse("implausible", f"{doubted[0]}.", _ASK, **figures)
    if all(r.ok for r in results):
        return ok(said, **figures)
    return refuse(
        "criteria_not_met",
        f"{said}.",
        "Look at the validation metrics and features; this model is not published further.",
        **figures,
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
