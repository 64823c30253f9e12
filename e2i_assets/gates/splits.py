"""The rules that protect splits: shares, stability, leakage and quality, each a pure judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2i_assets.gates.remedies import ASK
from e2i_assets.gates.verdict import Gate, Verdict, not_judged, ok, refuse
from e2i_assets.modeling.splits.alike import NOBODY_ALIKE, Alike
from e2i_assets.modeling.splits.policy import MINIMUM_COHORT, RATIOS

if TYPE_CHECKING:
    from e2i_assets.leakage import LeakageReport
    from e2i_assets.modeling.splits.assignment import Stability
    from e2i_assets.modeling.splits.enforcer import SplitValidation
    from e2i_assets.quality.splits import SplitQuality


@dataclass(frozen=True)
class SplitResult:
    """What is judged of splits: their validation, the leakage audit of each target, who kept their split,
    grades, and who is alike.
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
    "one_class": "Look at what fills the outcome in the mapping, at its follow-up and at the criteria: at "
    "least two different outcomes must be there.",
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


def _remedy(splits: SplitResult) -> str:
    """What to do about the first violation: shares that are missed have one of several reasons."""
    broken, patients = splits.validation.broken[0], sum(splits.validation.counts.values())
    enough = broken in ("ratios", "stratification") or patients >= MINIMUM_COHORT
    together = splits.alike.policy != "allow" and splits.alike.groups
    if together and enough and broken in ("ratios", "stratification", "too_few_patients"):
        return TOGETHER
    return SPLIT_REMEDIES.get(broken, LEFT)


def _split_ratios(splits: SplitResult) -> Verdict:
    validation = splits.validation
    ratios = {f"share_{name}": round(ratio, 4) for name, ratio in validation.ratios.items()}
    if not validation.is_valid:
        more = len(validation.violations) - 5
        return refuse(
            validation.broken[0],
            "; ".join(validation.violations[:5]) + (f"; and {more} more." if more > 0 else "."),
            _remedy(splits),
            broken=", ".join(dict.fromkeys(validation.broken)),
            **ratios,
        )
    if not sum(validation.counts.values()):
        return refuse("nothing_evaluated", "no patient was split.", "Read the attrition table of the cohort.")
    return ok("60/20/15/5 within 2 %, stratified, no patient in two splits", **ratios)


def _stable_splits(splits: SplitResult) -> Verdict:
    stayed, new, moved = splits.stability.kept, splits.stability.new, splits.stability.moved
    if moved:
        return refuse(
            "patients_moved",
            f"{moved} patients are no longer in the split that they were assigned.",
            "ml_split_assignments was altered from outside; restore it.",
            kept=stayed,
            moved=moved,
        )
    if not stayed + new:
        return refuse("nothing_evaluated", "no patient was split.", "Read the attrition table of the cohort.")
    return ok(f"no patient changed split: {stayed} kept theirs, {new} are new", kept=stayed, new=new, moved=0)


def _no_leakage(splits: SplitResult) -> Verdict:
    if not splits.leakage and not splits.validation.is_valid:
        return not_judged("split_ratios")
    if splits.alike.policy == "refuse" and splits.alike.patients:
        return refuse(
            "equal_rows",
            f"{splits.alike.text()}.",
            "Mend the copies at the source (column alike of assigned.parquet says who they are), or set "
            "equal_rows: same_split in the cohort file.",
            patients=splits.alike.patients,
            groups=splits.alike.groups,
        )
    if not splits.leakage:
        return refuse(
            "nothing_evaluated",
            "no target was audited: no scope is named.",
            "Name a scope in the cohort file.",
        )
    findings = [(target, finding) for target, report in splits.leakage.items() for finding in report.findings]
    if not findings:
        return _looked_at(splits.leakage)
    named = "; ".join(
        f"{f.kind} leakage in {f.column} for {target}: {f.evidence}" for target, f in findings[:5]
    )
    if len(findings) > 5:
        named += f"; and {len(findings) - 5} more"
    rows = [{"target": target, **vars(finding)} for target, finding in findings]
    counts = {"findings": len(findings), "undeclared": len(_undeclared(splits.leakage))}
    if all(f.kind == "plausibility" for _, f in findings):
        return refuse("implausible", f"{named}.", ASK, rows, **counts)
    return refuse(
        "leakage",
        f"{named}.",
        " ".join(dict.fromkeys(LEAKAGE_REMEDIES[f.kind] for _, f in findings)),
        rows,
        **counts,
    )


def _undeclared(reports: Mapping[str, LeakageReport]) -> list[str]:
    """Features of which nobody has said when they are known."""
    return sorted({name for report in reports.values() for name in report.undeclared})


_COLUMNS = "Take the columns out of the features, or correct their role and availability."
LEAKAGE_REMEDIES = {
    "temporal": _COLUMNS,
    "target": _COLUMNS,
    "plausibility": ASK,
    "contamination": "Rows of one split are in another: remove copies at the source; patients alike who were "
    "assigned earlier stay apart, so copy the cohort file under a new name to split anew, or set equal_rows: "
    "allow where equal rows are chance.",
}


def _split_quality(splits: SplitResult) -> Verdict:
    if not splits.quality and not splits.validation.is_valid:
        return not_judged("split_ratios")
    if ungraded := [name for name in RATIOS if name not in {q.split for q in splits.quality}]:
        reason = "not_graded" if splits.quality else "nothing_evaluated"
        return refuse(reason, f"{', '.join(ungraded)} not graded.", "Mend the splits, and grade all four.")
    scores = {f"score_{q.split}": round(q.score, 4) for q in splits.quality}
    failed = [q for q in splits.quality if q.status == "failed"]
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
        if idle == ["availability"] and report.undeclared:
            return refuse(
                "nothing_declared",
                f"of no feature for {target} has anybody said when it is known: "
                f"{', '.join(report.undeclared)}.",
                ASK,
                undeclared=len(report.undeclared),
            )
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
    limits = sorted({limit for report in reports.values() for limit in report.limits})
    undecided = f"; not to be decided: {' · '.join(limits)}" if limits else ""
    open_ = _undeclared(reports)
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
