"""What protects its users from an effect that these patients cannot tell, or that something else explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from e2i_assets.causal.refutation import ATTEMPTS, LEAST_REPETITIONS
from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.gates import model_candidate
from e2i_assets.gates.verdict import Gate, Verdict, not_judged, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.causal.refutation import Refutation, RefutationReport
    from e2i_assets.causal.report import EffectReport
    from e2i_assets.modeling.scopes.answerable import Answerability

ERROR = 0.05
"""Probability that any covariate of balanced arms is told to differ."""


@dataclass(frozen=True)
class EffectJudged:
    """What the gates of an effect judge.

    Attributes:
        evidence: what there is to answer the scope with.
        report: the effect, or why there is none.
        refutation: what came of the attempts to refute it; None where there is no effect to refute.
        max_difference: standardised difference that a covariate may keep between weighted arms.
        cells: how counts of patients are told.
    """

    evidence: Answerability
    report: EffectReport
    refutation: RefutationReport | None
    max_difference: float
    cells: Cells = EXACT


ANSWERABLE = replace(
    model_candidate.ANSWERABLE, judge=lambda judged: model_candidate.ANSWERABLE.judge(judged.evidence)
)


def _overlap(judged: EffectJudged) -> Verdict:
    report = judged.report
    offered = ", ".join(name for name in report.offers if name != report.estimand)
    if report.reason is not None or report.overlap is None or report.effect is None:
        step = f"Ask for another estimand in the scope: {offered}." if offered else (
            "Leave what follows from the treatment out of the covariates (features.exclude), widen the "
            "cohort, or ask of patients in whom both arms are found."
        )  # fmt: skip
        return refuse(
            report.reason or "nothing_evaluated",
            report.explanation or "no overlap was judged.",
            step,
            rows=judged.cells.figure(report.rows),
            treated=judged.cells.figure(report.treated),
        )
    overlap = report.overlap
    if not report.identified or not np.isfinite(_numbers(report)).all():
        return refuse(
            "no_number",
            f"status {report.status}: of the effect, its interval or the overlap some is no number.",
            "Estimate it again; an effect that is not identified may hold no figures.",
        )
    return ok(
        f"{overlap.share_outside:.0%} of {judged.cells.text(report.rows)} patients have a propensity "
        f"outside 0.05 to 0.95; weighted, the arms count for {overlap.effective_treated:.0f} and "
        f"{overlap.effective_control:.0f}",
        share_outside=overlap.share_outside,
        unsupported=overlap.unsupported,
        effective_treated=overlap.effective_treated,
        effective_control=overlap.effective_control,
        propensity_auc=overlap.auc,
    )


def _numbers(report: EffectReport) -> list[float]:
    """What the effect and its overlap say; not a number where one is not there."""
    effect, overlap = report.effect, report.overlap
    if effect is None or overlap is None:
        return [np.nan]
    counted = overlap.effective_treated, overlap.effective_control
    return [*astuple(effect), *counted, overlap.share_outside, overlap.unsupported, overlap.auc]


OVERLAP = Gate(
    "overlap",
    "Both arms are found among patients of every kind, so that there is an effect to tell.",
    _overlap,
    ("CausalDataError",),
)


def allowed_difference(report: EffectReport, most: float) -> float:
    """The largest standardised difference that so many patients may show where the true one is `most`.

    Of many covariates one differs by chance: the bound holds for all of them together.
    """
    overlap = report.overlap
    if overlap is None or not report.balance:
        return most
    noise = np.sqrt(1 / overlap.effective_treated + 1 / overlap.effective_control)
    return most + NormalDist().inv_cdf(1 - ERROR / (2 * len(report.balance))) * float(noise)


def _balance(judged: EffectJudged) -> Verdict:
    report = judged.report
    if report.effect is None:
        return not_judged("overlap")
    if not report.balance:
        return refuse(
            "nothing_evaluated", "no covariate was compared.", "Give the scope features to adjust for."
        )
    limit = allowed_difference(report, judged.max_difference)
    worst = max(report.balance, key=lambda one: abs(one.after))
    before = max(abs(one.before) for one in report.balance)
    figures = {
        "worst_before": before, "worst_after": abs(worst.after),
        "limit": limit, "wanted": judged.max_difference,
    }  # fmt: skip
    unlike = [one for one in report.balance if not abs(one.after) <= limit]
    if unlike:
        return refuse(
            "unbalanced",
            f"weighted, the arms still differ in {', '.join(one.covariate for one in unlike[:5])} by more "
            f"than {judged.max_difference:g} standard deviations and chance ({limit:.2f}).",
            "Widen the cohort, ask for another estimand (ato compares where both arms are found), or leave "
            "out a covariate that follows from the treatment.",
            [{"covariate": one.covariate, "before": one.before, "after": one.after} for one in unlike],
            **figures,
        )
    return ok(
        f"of {len(report.balance)} covariates the largest standardised difference is {before:.2f} before "
        f"weighting and {abs(worst.after):.2f} after ({worst.covariate}); by chance up to {limit:.2f}",
        **figures,
    )


BALANCE = Gate("balance", "Once weighted, the arms are alike in every covariate.", _balance)


def _refutation(judged: EffectJudged) -> Verdict:
    report = judged.refutation
    if judged.report.effect is None:
        return not_judged("overlap")
    if report is None or not report.refutations:
        return refuse("nothing_evaluated", "no attempt was made to refute the effect.", "Estimate it again.")
    if lacking := list(_lacking(report)):
        return refuse(
            "too_few_attempts",
            f"attempts to refute the effect were not made, or fewer than {LEAST_REPETITIONS} times: "
            f"{', '.join(lacking)}.",
            "Estimate it again, with every attempt.",
        )
    summary = "; ".join(f"{_name(one)} p {one.p:.2g}" for one in report.refutations)
    figures = {f"p_{_name(one).replace(' ', '_')}": one.p for one in report.refutations}
    unsound = [one for one in report.refutations if one.verdict == "failed" or not one.p >= 0]
    if unsound:
        return refuse(
            "refuted",
            f"the effect did not stand {', '.join(map(_name, unsound))}: {summary}.",
            "Look for confounders that are not among the covariates, and for covariates that follow from the "
            "treatment; widen the cohort where an arm is small.",
            [
                {
                    "attempt": _name(one), "statistic": one.statistic, "expected": one.expected,
                    "seen": one.seen, "p": one.p,
                }
                for one in unsound
            ],
            **figures,
        )  # fmt: skip
    doubted = [_name(one) for one in report.refutations if one.verdict == "warning"]
    doubts = f"; to be looked at: {', '.join(doubted)}" if doubted else ""
    return ok(summary + doubts, **figures)


def _lacking(report: RefutationReport) -> Iterator[str]:
    """Attempts that were not made often enough to fail."""
    made = {one.name: one.repetitions for one in report.refutations}
    for name in ATTEMPTS:
        if made.get(name, 0) < LEAST_REPETITIONS:
            yield name.replace("_", " ")


def _name(one: Refutation) -> str:
    return f"{one.name.replace('_', ' ')} {one.column}".rstrip()


REFUTATION = Gate("refutation", "The effect stands placebo, dummy outcome and the like.", _refutation)
