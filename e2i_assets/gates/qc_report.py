"""What protects a model from bad raw data: one snapshot, no blocking issue, a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
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
    if unknown := sorted(set(RAW_TABLES) - set(known)):
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
