"""The effect of one treatment on one outcome: estimated where the rows can tell it, refused where they
cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd

from e2i_assets.causal import data as causal_data
from e2i_assets.causal.data import CausalData
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.estimands import Scores, as_effect, difference, log_ratio, over_repeats, unadjusted
from e2i_assets.causal.graph import CausalGraph
from e2i_assets.causal.instruments import check_names, instruments_of, late_from
from e2i_assets.causal.nuisance import Nuisances, cross_fit
from e2i_assets.causal.overlap import (
    balance_of,
    clusters_of_arms,
    dose_decided,
    offers,
    overlap_of,
    too_few,
    why_not,
)
from e2i_assets.causal.report import Effect, EffectReport, Estimand, Instruments, Reason
from e2i_assets.causal.sensitivity import sensitivity_of
from e2i_assets.contracts.variables import Variable

SIGNIFICANT = 0.05


def estimate_effect(
    frame: pd.DataFrame,
    *,
    treatment: str,
    outcome: str,
    covariates: Sequence[str | Variable],
    estimand: Estimand | Literal["late"] = "ate",
    target: Any = None,
    control: Any = None,
    instruments: Sequence[str] | None = None,
    graph: CausalGraph | None = None,
    clusters: str | None = None,
    seed: int = 0,
) -> EffectReport:
    """Estimate what the treatment changes, doubly robust over cross-fitted models, or say why nobody can.

    Assumes that the covariates are all that moves both who is treated and the outcome, that they were known
    before the treatment, and that one row's treatment moves no other row's outcome; without `clusters` also
    that each row was treated for itself. An outcome that is missing counts as missing at random given
    covariates and treatment.

    Args:
        frame: one row for each patient.
        treatment: 0/1, or a dose (its effect is that of one unit more), or names of arms.
        outcome: 0/1, a count or a measurement.
        covariates: columns to adjust for; given with their declarations, as `contracts.variables.Feature`s,
            those known only afterwards are refused by them.
        estimand: whose effect; `report.EffectReport` says which there are.
        target, control: of a treatment with names or more than two values, the arm and what it is compared
            with.
        graph: what causes what; the covariates are checked against it.
        instruments: columns of numbers that move the outcome through the treatment alone. The covariates
            need not be all that matters then, and the effect is `late`, that on compliers.
        clusters: column that says which rows belong together, such as the HCP of each patient where HCPs, and
            not patients, get the treatment: intervals are then of so many clusters, and not of as many rows.
        seed: the same seed, the same report.

    Raises:
        CausalDataError: the table cannot be asked this, or the graph forbids the adjustment; the message
            names column and rule.
    """
    if seed < 0:
        raise CausalDataError(f"seed is {seed}", "Give a whole number, 0 or more.")
    names = causal_data.names_of(covariates)
    if instruments is not None:
        return _by_instruments(
            frame,
            treatment,
            outcome,
            covariates,
            estimand,
            target,
            control,
            instruments,
            graph,
            clusters,
            seed,
        )
    if estimand == "late" or estimand not in get_args(Estimand):
        raise CausalDataError(
            f"no estimand {estimand!r}: one of {', '.join(get_args(Estimand))}; `late` is told by instruments"
        )
    if graph:
        graph.check(treatment, outcome, names)
    data = causal_data.prepare(
        frame, treatment=treatment, outcome=outcome, covariates=names, target=target, control=control,
        clusters=clusters,
    )  # fmt: skip
    if data.treatment_kind == "continuous" and estimand not in ("ate", "ato"):
        raise CausalDataError(
            f"{estimand} is of a treatment with arms, and {treatment} is a dose", "Ask for `ate` or `ato`."
        )
    report = _empty(data, treatment, outcome, names, estimand, clusters, seed, len(frame))
    if causal_data.known_afterwards([treatment]):
        return _refused(report, *_decided_late(treatment, outcome))
    if late := causal_data.known_afterwards(covariates):
        return _refused(
            report,
            "known_afterwards",
            f"Known only after the treatment: {', '.join(late)}. What follows from the treatment takes away"
            " part of its effect; leave it out of the covariates.",
        )
    if few := too_few(data):
        return _refused(report, *few)
    return effect_from(report, data, cross_fit(data, seed=seed))


def _by_instruments(
    frame: pd.DataFrame, treatment: str, outcome: str, covariates: Sequence[str | Variable], estimand: str,
    target: Any, control: Any, instruments: Sequence[str], graph: CausalGraph | None, clusters: str | None,
    seed: int,
) -> EffectReport:  # fmt: skip
    if estimand not in ("ate", "late"):
        raise CausalDataError(
            f"{estimand} is not told by instruments: theirs is the effect on compliers", "Ask for `late`."
        )
    names = causal_data.names_of(covariates)
    by = check_names(instruments, frame, (treatment, outcome, *names))
    if graph:
        graph.check_instruments(treatment, outcome, names, by)
    data = causal_data.prepare(
        frame, treatment=treatment, outcome=outcome, covariates=names, target=target, control=control,
        clusters=clusters,
    )  # fmt: skip
    z = instruments_of(frame, data, by, treatment=treatment, outcome=outcome)
    report = replace(
        _empty(data, treatment, outcome, names, "ate", clusters, seed, len(frame)),
        estimand="late",
        instruments=Instruments(by),
    )
    if causal_data.known_afterwards([treatment]):
        return _refused(report, *_decided_late(treatment, outcome))
    if late := causal_data.known_afterwards((*covariates, *by)):
        return _refused(
            report,
            "known_afterwards",
            f"Known only after the treatment: {', '.join(late)}. Leave it out of covariates and instruments.",
        )
    if few := too_few(data):
        return _refused(report, *few)
    return late_from(report, data, z, by)


def effect_from(report: EffectReport, data: CausalData, nuisances: Nuisances) -> EffectReport:
    """Fill a report from nuisances that are there already."""
    report = replace(
        report,
        nuisances=nuisances.fits,
        balance=balance_of(data, nuisances, report.population),
        folds=len(np.unique(nuisances.folds)),
        repeats=len(nuisances.folds),
    )
    if data.treatment_kind == "continuous":
        if refusal := dose_decided(nuisances):
            return _refused(report, *refusal)
        return _estimated(report, data, nuisances, min(clusters_of_arms(data)), None)
    overlap = overlap_of(data, nuisances, report.population)
    report = replace(report, overlap=overlap)
    if refusal := why_not(overlap):
        return replace(_refused(report, *refusal), offers=offers(data, nuisances))
    rows = min(overlap.effective_treated, overlap.effective_control, *clusters_of_arms(data))
    ratio = None
    if data.outcome_kind != "continuous":
        ratios = _all(log_ratio, data, nuisances, report.population)
        ratio = None if None in ratios else as_effect(*over_repeats(cast(list[Scores], ratios)), rows, np.exp)
    return _estimated(report, data, nuisances, rows, ratio)


def _estimated(
    report: EffectReport, data: CausalData, nuisances: Nuisances, rows: float, ratio: Effect | None
) -> EffectReport:
    scores = _all(difference, data, nuisances, report.population)
    effect = as_effect(*over_repeats(scores), rows)
    att = None
    if data.treatment_kind == "binary" and why_not(of_treated := overlap_of(data, nuisances, "att")) is None:
        least = min(of_treated.effective_treated, of_treated.effective_control, *clusters_of_arms(data))
        att = as_effect(*over_repeats(_all(difference, data, nuisances, "att")), least)
    unit = 1.0 if data.treatment_kind == "binary" else float(data.t.std())
    return replace(
        report,
        status="effect" if effect.p < SIGNIFICANT else "no_effect_shown",
        effect=effect,
        ratio=ratio,
        att=att,
        naive=unadjusted(data),
        sensitivity=sensitivity_of(effect, ratio, float(data.y[data.known].std()) / unit, rows),
    )


def _all(score: Any, data: CausalData, nuisances: Nuisances, estimand: Estimand) -> list[Any]:
    return [score(data, nuisances, repeat, estimand) for repeat in range(len(nuisances.folds))]


def _empty(
    data: CausalData, treatment: str, outcome: str, names: tuple[str, ...], estimand: Estimand,
    clusters: str | None, seed: int, rows: int,
) -> EffectReport:  # fmt: skip
    dose = data.treatment_kind == "continuous"
    notes = []
    if dose:
        notes.append(f"{treatment} is taken as a dose; of arms name two, the target and its control.")
    if rows > len(data.t):
        notes.append(
            f"{rows - len(data.t)} rows of other arms are left out: the effect says nothing of them."
        )
    if data.clusters is not None:
        notes.append(f"Intervals are of clusters by {clusters}, not of rows.")
    if data.left_out:
        notes.append(f"Left out, of one value alone: {', '.join(data.left_out)}.")
    if not data.known.all():
        others = ", and the effect is that on the others" if dose else ""
        notes.append(
            f"The outcome of {(~data.known).mean():.1%} of the rows is not known; it counts as missing at"
            f" random given covariates and treatment{others}."
        )
    if not names:
        notes.append("Nothing is adjusted for: this is an effect only where the treatment was given by lot.")
    return EffectReport(
        status="not_identified", treatment=treatment, outcome=outcome, covariates=names, estimand=estimand,
        seed=seed, rows=len(data.t), treated=int((data.t == 1).sum()) if data.arm else len(data.t),
        arm=data.arm, control=data.control, treatment_kind=data.treatment_kind,
        outcome_kind=data.outcome_kind, clusters=clusters or "", notes=tuple(notes),
    )  # fmt: skip


def _decided_late(treatment: str, outcome: str) -> tuple[Reason, str]:
    return "known_afterwards", (
        f"By the contract {treatment} is known only with the outcomes, so that nobody can tell whether it"
        f" came before {outcome}. Give a treatment that was decided before, under a name of its own."
    )


def _refused(report: EffectReport, reason: Reason, explanation: str) -> EffectReport:
    return replace(report, status="not_identified", reason=reason, explanation=explanation)
