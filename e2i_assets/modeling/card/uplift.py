"""The card of a model of effects: what is estimated, what must hold for it, and how far it can be trusted."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2i_assets.causal.cate import CONSTANT
from e2i_assets.causal.cross_validation import CrossValidation
from e2i_assets.causal.refutation import RefutationReport
from e2i_assets.causal.report import EffectReport
from e2i_assets.causal.scores import EffectGroup, Estimate
from e2i_assets.cohorts.attrition import CohortResult
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.html_pages import render
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.card.graph_picture import graph_picture
from e2i_assets.modeling.card.page import Picture
from e2i_assets.modeling.card.records import ModelCard
from e2i_assets.modeling.card.tables import Table, gates_of, versions_of
from e2i_assets.modeling.problems.causal_inference import CausalScope
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluation
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.modeling.uplift.plots import estimate_plots, evaluation_plots, importance_plots, segment_plot
from e2i_assets.modeling.uplift.rows import graph_of

TEMPLATE = "uplift_card.html"
SECTIONS = (
    "Question and estimand", "Identification", "Participants", "Average effect", "Overlap and balance",
    "Sensitivity and refutation", "Effects for patients", "On test", "Segments", "Gates", "Limits",
    "Provenance",
)  # fmt: skip
ESTIMANDS: Mapping[str, str] = {
    "ate": "all patients of the cohort",
    "att": "patients who were treated",
    "ato": "patients in whom both arms are found (overlap weights)",
    "trimmed": "patients with a propensity within 0.05 to 0.95",
}
CAPTIONS: Mapping[str, str] = {
    "balance": "Standardised mean differences between the arms, before and after weighting.",
    "overlap": "Propensities of the treated (up) and of the others (down).",
    "qini": "What is gained on test by treating patients in the order of their predicted effect.",
    "effect_calibration": "Predicted and measured effects on test, in groups of equal size.",
    "effect_by_segment": "Measured effects by segment on test.",
    "effect_importance": "Features that the predicted effect differs by (mean absolute SHAP value).",
}


@dataclass(frozen=True)
class UpliftRecords:
    """What the card is made of: what each stage published, and under which version and gates."""

    scope: CausalScope
    cohort: CohortConfig
    attrition: CohortResult
    splits: Splits
    report: EffectReport
    refutation: RefutationReport | None
    validation: CrossValidation
    model: UpliftModel
    evaluation: UpliftEvaluation
    versions: Mapping[str, str]
    gates: Mapping[str, Mapping[str, bool]]
    cells: Cells


def uplift_card(records: UpliftRecords) -> ModelCard:
    """The card; the same records give the same page."""
    report, model, evaluation = records.report, records.model, records.evaluation
    on_all = f"{records.cells.text(model.n_train + model.n_validation)} patients of train and validation"
    page = render(
        TEMPLATE,
        title=f"Card of effects: {records.scope.description}",
        cohort=records.cohort,
        fingerprint=model.fingerprint,
        minimum=records.cells.minimum,
        sections=SECTIONS,
        summary=_summary(records),
        intended=records.scope,
        estimand=_estimand(records),
        assumptions=_assumptions(report),
        flow=_picture(
            "Who is in the cohort, and whom each rule removed.",
            flow_picture(records.attrition, records.cells),
        ),
        splits=_splits(records),
        effects=_effects(report),
        nuisances=_nuisances(report),
        libraries=_libraries(records),
        overlap=_overlap(records),
        balance=_pictures(estimate_plots(report, records.cells)),
        graph=_graph(records),
        sensitivity=_sensitivity(report),
        refutations=_refutations(records.refutation),
        choice=_choice(records),
        contest=_contest(model),
        importance=_pictures(importance_plots(model)),
        figures=_figures(evaluation),
        pictures=_pictures(evaluation_plots(evaluation, records.cells)),
        unavailable=evaluation.unavailable,
        segments=_segments(records),
        by_segment=_picture(
            "Measured effects by segment, of train and validation.", segment_plot(model.segments, on_all)
        ),
        gates=gates_of(records.gates),
        limits=_limits(records),
        versions=versions_of(records.versions),
    )
    return ModelCard(page, model.fingerprint)


def _picture(caption: str, png: bytes) -> Picture:
    return Picture(caption, b64encode(png).decode())


def _pictures(pngs: Mapping[str, bytes]) -> list[Picture]:
    return [_picture(CAPTIONS[Path(name).stem], png) for name, png in pngs.items()]


def _summary(records: UpliftRecords) -> Iterable[str]:
    report, evaluation = records.report, records.evaluation
    yield report.summary
    if report.status == "no_effect_shown":
        yield "No effect is shown: the interval has zero in it. What is served says so by its interval."
    yield _choice(records)
    gain, share = evaluation.policy.gain, evaluation.policy.share
    yield (
        f"On test, treating {share:.0%} of patients in the order of the model gains {gain.value:+.3f} per "
        f"patient (95 % {_ends(gain)}) over treating nobody."
    )


def _choice(records: UpliftRecords) -> str:
    choice, best = records.model.choice, records.model.choice.best
    if best is None:
        return "No learner could be fitted; everybody gets the average effect."
    against = (
        f"the best of {len(choice.contests)} learners, {best.learner}, has an R-loss on held-out patients "
        f"that is {best.gain:+.4f} better than the constant effect's, {best.in_noises:.1f} standard errors "
        f"({choice.critical:.1f} are needed)"
    )
    if records.model.algorithm == CONSTANT:
        return f"Everybody gets the average effect: {against}."
    return f"Effects differ between patients: {against}."


def _estimand(records: UpliftRecords) -> Table:
    scope, report = records.scope, records.report
    rows = [
        ["Treatment", f"{scope.treatment}: {report.arm} against {report.control}"],
        ["Outcome", f"{scope.target} ({report.outcome_kind})"],
        ["Population", ESTIMANDS[scope.estimand]],
        ["Measure", f"difference of {_measure(report)}"],
        [
            "Intervals",
            f"of clusters by {report.clusters}" if report.clusters else "of patients, each by himself",
        ],
        ["Adjusted for", f"{len(report.covariates)} covariates: {', '.join(report.covariates)}"],
    ]
    return Table("What is estimated.", ["Part", "Is"], rows)


def _assumptions(report: EffectReport) -> tuple[str, ...]:
    """What an adjustment for covariates rests on, in words."""
    return (
        f"No confounder is missing: what moves both who gets {report.treatment} and {report.outcome} is "
        "among the covariates. How strong one would have to be is under Sensitivity.",
        "The covariates were known before the treatment and do not follow from it. Nobody can read that off "
        "the data; the contract says when each column is known.",
        "Both arms are found among patients of every kind: see Overlap and balance.",
        "The treatment of one patient does not change the outcome of another, and it is the same treatment "
        "for all.",
        "Where an outcome is not known, that is by chance given covariates and treatment.",
    )


def _measure(report: EffectReport) -> str:
    return "risks" if report.outcome_kind == "binary" else "means"


def _splits(records: UpliftRecords) -> Table:
    purposes = {
        "train": "effects are estimated, cross-fitted",
        "validation": "the same, together with train",
        "test": "scored once",
        "holdout": "sealed until the model is deployed",
    }
    counts = records.splits.counts
    rows = [[name, records.cells.text(counts.get(name, 0)), purpose] for name, purpose in purposes.items()]
    return Table("How the cohort was divided.", ["Split", "Rows", "Purpose"], rows)


def _effects(report: EffectReport) -> Table:
    named = {
        f"Effect ({report.estimand})": report.effect, f"Ratio of {_measure(report)}": report.ratio,
        "Effect on the treated": report.att, "Without any adjustment": report.naive,
    }  # fmt: skip
    rows = [
        [name, f"{e.estimate:.3f}", f"{e.low:.3f} to {e.high:.3f}", f"{e.p:.2g}"]
        for name, e in named.items()
        if e is not None
    ]
    caption = f"Effects in {report.folds}-fold cross-fitting, {report.repeats} times over."
    return Table(caption, ["Figure", "Estimate", "95 %", "p"], rows)


def _libraries(records: UpliftRecords) -> Table:
    validation, clusters = records.validation, records.report.clusters
    rows = [
        [
            f"{one.library} {one.version}",
            one.method,
            f"{one.effect.estimate:.3f}" if one.effect else "–",
            f"{one.effect.low:.3f} to {one.effect.high:.3f}" if one.effect else f"failed ({one.error})",
        ]
        for one in validation.libraries
    ]
    alone = f" (intervals as if patients of one {clusters} were not alike)" if clusters else ""
    caption = f"The effect in all patients by other libraries, on the same rows and folds{alone}"
    return Table(f"{caption}: {validation.summary}", ["Library", "Method", "Estimate", "95 %"], rows)


def _nuisances(report: EffectReport) -> Table:
    rows = [
        [fit.of.replace("_", " "), fit.metric.upper(), f"{fit.score:.3f}", _weights(fit.weights)]
        for fit in report.nuisances
    ]
    caption = "How well patients not seen were predicted by what the effect is estimated over."
    return Table(caption, ["Of", "Metric", "Score", "Models and their weights"], rows)


def _weights(weights: Mapping[str, float]) -> str:
    used = {name.replace("_", " "): weight for name, weight in weights.items() if weight > 0}
    return ", ".join(f"{name} {weight:.2f}" for name, weight in used.items())


def _overlap(records: UpliftRecords) -> str:
    overlap = records.report.overlap
    if overlap is None:
        return "No overlap was judged."
    worst = max((abs(one.after) for one in records.report.balance), default=0.0)
    return (
        f"{overlap.share_outside:.0%} of patients have a propensity outside 0.05 to 0.95. Weighted, the arms "
        f"count for {overlap.effective_treated:.0f} treated and {overlap.effective_control:.0f} others. The "
        f"largest standardised difference that is left is {worst:.2f}."
    )


def _sensitivity(report: EffectReport) -> str:
    strength = report.sensitivity
    if strength is None:
        return "Nothing can be said of it without an effect."
    return (
        "A confounder that nobody measured would have to be tied to treatment and outcome by a risk ratio of "
        f"{strength.e_value:.2f} each to take the effect away (E-value), of {strength.e_value_limit:.2f} to "
        f"move its interval to none; or explain {strength.robustness:.0%} of what is left of both, and "
        f"{strength.robustness_significance:.0%} to take away its significance (Cinelli and Hazlett)."
    )


def _graph(records: UpliftRecords) -> Picture | None:
    """The graph that the scope states, with what is adjusted for."""
    scope = records.scope
    if (graph := graph_of(scope)) is None:
        return None
    caption = "What the scope holds to cause what; the covariates were checked against it."
    return _picture(caption, graph_picture(graph, scope.treatment, scope.target, records.report.covariates))


def _refutations(report: RefutationReport | None) -> Table:
    rows = [
        [f"{one.name.replace('_', ' ')} {one.column}".rstrip(), one.statistic, f"{one.expected:.3f}",
         f"{one.seen:.3f}", f"{one.p:.2g}", one.verdict]
        for one in (report.refutations if report else ())
    ]  # fmt: skip
    caption = "Attempts to refute the effect; p is that of what was seen, were all well."
    return Table(caption, ["Attempt", "Statistic", "Expected", "Seen", "p", "Verdict"], rows)


def _contest(model: UpliftModel) -> Table:
    choice = model.choice
    rows = [["constant effect", f"{choice.constant_loss:.4f}", "–", "–"]] + [
        [c.learner, f"{c.r_loss:.4f}", f"{c.gain:+.4f}", f"{c.in_noises:+.1f}"] for c in choice.contests
    ]
    rows += [[name, f"could not be fitted ({why})", "–", "–"] for name, why in choice.failed.items()]
    caption = f"R-loss on held-out patients, {choice.folds} folds; less is better."
    return Table(caption, ["Model", "R-loss", "Better than constant by", "In standard errors"], rows)


def _figures(evaluation: UpliftEvaluation) -> Table:
    policy, qini = evaluation.policy, evaluation.qini
    named: dict[str, Estimate | None] = {
        "Average effect": evaluation.average,
        "Qini": qini.qini if qini else None,
        "Area under the uplift curve": qini.auuc if qini else None,
        f"Gain of treating {policy.share:.0%}": policy.gain,
        "… over as many by lot": policy.over_chance,
        "Mean outcome then": policy.outcome,
    }
    rows = [[name, f"{e.value:.3f}", _ends(e)] for name, e in named.items() if e is not None]
    if (truth := evaluation.truth) is not None:
        rows.append(["True average effect (synthetic)", f"{truth.average:.3f}", "–"])
        rows.append(["Regret of the choice (synthetic)", f"{truth.regret:.3f}", "–"])
        if truth.correlation is not None:
            rows.append(["Correlation with true effects (synthetic)", f"{truth.correlation:.2f}", "–"])
    return Table("From doubly robust scores of test patients.", ["Figure", "Value", "95 %"], rows)


def _ends(figure: Estimate) -> str:
    return f"{figure.low:.3f} to {figure.high:.3f}"


def _segments(records: UpliftRecords) -> Table:
    on_test = {(group.by, group.level): group for group in records.evaluation.segments}
    rows: list[Sequence[str]] = []
    for group in records.model.segments:
        other = on_test.get((group.by, group.level))
        rows.append(
            [
                group.by.replace("_", " "),
                group.level,
                _interval_text(group),
                _interval_text(other) if other else "few",
            ]
        )
    caption = "Measured effects with 95 % intervals; of too few patients none."
    return Table(caption, ["By", "Segment", "Train and validation", "Test"], rows)


def _interval_text(group: EffectGroup) -> str:
    return "few" if group.effect is None else f"{group.effect.value:+.3f} ({_ends(group.effect)})"


def _limits(records: UpliftRecords) -> Iterable[str]:
    yield "That no confounder is missing rests on what is known of the question, not on the data."
    yield (
        f"It speaks of {records.cohort.brand} in {records.cohort.indication} and of patients who meet the "
        "criteria of its cohort. Of others nothing is known."
    )
    yield "The interval for a patient is that of the mean effect on patients of like predictions, not of one."
    if records.evaluation.truth is not None:
        yield "The data are synthetic. Its figures say nothing of real patients."
    if undeclared := [
        f.name for f in records.splits.features if f.name in records.model.features and not f.known_at_index
    ]:
        yield f"Nobody has declared when these covariates are known: {', '.join(undeclared)}."
