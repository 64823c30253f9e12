"""The page of an external validation: one file without scripts, that loads nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence

from e2i_assets import drawing
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.html_pages import render
from e2i_assets.modeling.card.page import Picture
from e2i_assets.modeling.card.tables import Table
from e2i_assets.modeling.card.wording import ends_of, signed, with_ends, words
from e2i_assets.modeling.evaluation.holdout import Measured
from e2i_assets.modeling.metrics.calibration import CalibrationBin
from e2i_assets.modeling.metrics.intervals import Interval
from e2i_assets.modeling.problems.base import Problem
from e2i_assets.modeling.scopes.problem_types import problem_of
from e2i_assets.monitoring.plots import distribution
from e2i_assets.monitoring.severity import SEVERITIES
from e2i_assets.monitoring.watching import Watched
from e2i_assets.validation.external import IN_THE_LARGE, LINE, SERVED, ExternalValidation
from e2i_assets.validation.population import Characteristic, Described

TEMPLATE = "external_validation.html"
MOST_PICTURES = 6
COLOURS: Mapping[str, str] = {SERVED: drawing.LINE, IN_THE_LARGE: "#b7791f", LINE: "#2f855a"}


def validation_page(done: ExternalValidation, watched: Watched, *, cells: Cells) -> str:
    """The page; counts are told as `cells` says."""
    problem = problem_of(done.problem_type)
    drifted = sorted(watched.drifts(), key=lambda one: -SEVERITIES.index(one[1].severity))
    pictures = [distribution(column) for _, column in drifted[:MOST_PICTURES]]
    return render(
        TEMPLATE,
        title=f"External validation of {done.model_name} version {done.version} on {done.partition}",
        done=done,
        where=done.database or "this installation's warehouse",
        summary=summary(done, cells),
        patients=_patients(done, cells),
        figures=_figures(done, problem),
        corrections=_corrections(done),
        calibration=[
            Picture("Predicted and observed, in groups of equal size. On the dashed line they agree.",
                    _encoded(calibration_picture(done.judged.calibration)))
        ],
        subgroups=_subgroups(done, problem, cells),
        population=_population(done.population),
        unseen=done.unseen_levels,
        drift=_drift(done),
        distributions=[Picture("Shares at training and there.", _encoded(one)) for one in pictures if one],
        unavailable={**done.judged.unavailable, **done.drift["unavailable"]},
    )  # fmt: skip


def summary(done: ExternalValidation, cells: Cells) -> list[str]:
    """What was found, in sentences."""
    problem, metric = problem_of(done.problem_type), done.metric
    there, then = (_told(one, problem, metric) for one in (done.primary, done.at_training))
    left_out = sum(done.left_out.values())
    return [
        f"{cells.text(done.patients)} patients of {done.partition} were scored, {cells.text(left_out)} were "
        "left out.",
        f"{words(metric)} {there}; on the model's own test split it was {then}.",
        "The model answers as before: recalibrated figures show what a correction would bring, and no stage, "
        "gate or service reads this page.",
    ]


def calibration_picture(calibration: Mapping[str, Sequence[CalibrationBin]]) -> bytes:
    """Mean outcome by mean prediction of each bin, before and after recalibration, as PNG."""
    figure, axes = drawing.canvas()
    every = [
        value for bins in calibration.values() for one in bins for value in (one.predicted, one.observed)
    ]
    ends = [min(every), max(every)]
    axes.plot(ends, ends, color=drawing.SOFT, linestyle="--", linewidth=1)
    for way, bins in calibration.items():
        axes.plot(
            [one.predicted for one in bins], [one.observed for one in bins],
            color=COLOURS[way], marker="o", markersize=4, linewidth=1.5, label=way,
        )  # fmt: skip
    axes.set(xlabel="Predicted", ylabel="Observed")
    axes.legend(frameon=False, fontsize=8)
    return drawing.png(figure)


def figure_rows(done: ExternalValidation) -> list[list[str]]:
    """Each metric with its interval, as served and recalibrated."""
    problem = problem_of(done.problem_type)
    return [
        [words(metric), *(_told(of[metric], problem, metric) for of in done.judged.figures.values())]
        for metric in sorted(done.judged.figures[SERVED], key=lambda metric: metric != done.metric)
    ]


def _told(one: Measured, problem: Problem, metric: str) -> str:
    ends = Interval(one.low, one.high) if one.low is not None and one.high is not None else None
    return with_ends(one.value, ends, problem, metric)


def _patients(done: ExternalValidation, cells: Cells) -> Table:
    rows = [["in the cohort", cells.text(done.eligible)]]
    rows += [[f"left out: {reason}", cells.text(count)] for reason, count in done.left_out.items()]
    rows += [["scored", cells.text(done.patients)], ["their journeys", cells.text(done.rows)]]
    rows.append(["journeys whose features all equal those of one at training", cells.text(done.equal_rows)])
    return Table("Patients.", ["Patients", "Number"], rows)


def _figures(done: ExternalValidation, problem: Problem) -> Table:
    return Table(
        "Figures with their 95 % intervals. Those after recalibration are of patients whom the correction "
        "was not fitted on.",
        ["Metric", *done.judged.figures],
        figure_rows(done),
    )


def _corrections(done: ExternalValidation) -> Table:
    rows = [
        [way, name, f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"]
        for way, parts in done.judged.corrections.items()
        for name, one in parts.items()
    ]
    return Table(
        "What predictions would be corrected by, with 95 % intervals of resampled patients. Without need "
        "of it the intercept is 0 and the slope 1.",
        ["Recalibration", "Part", "Value"],
        rows,
    )


def _subgroups(done: ExternalValidation, problem: Problem, cells: Cells) -> Table:
    metric, rows = done.metric, []
    for group in done.judged.subgroups:
        size = "–" if group.n is None else cells.text(group.n)
        value = group.reason or with_ends(group.value, group.interval, problem, metric)
        gap = signed(group.gap, problem, metric)
        if group.gap_interval:
            gap += f" ({ends_of(group.gap_interval, problem, metric)})"
        rows.append([group.dimension, group.level, size, value, gap, signed(group.bias, problem, metric)])
    return Table(
        "Groups, as served, with 95 % intervals. Gap: to all others. Bias: mean prediction less mean "
        "outcome.",
        ["By", "Group", "Rows", words(metric), "Gap", "Bias"],
        rows,
    )


def _population(characteristics: Sequence[Characteristic]) -> Table:
    def told(one: Described, level: str) -> str:
        if one.value is None:
            return "of too few"
        return f"{one.value:.1%}" if level else f"{one.value:.4g} (SD {one.spread:.4g})"

    rows = [
        [
            c.feature,
            c.level or ("levels" if c.trained_on.spread is None else "mean"),
            told(c.trained_on, c.level),
            told(c.target, c.level),
            "–" if c.difference is None else f"{c.difference:+.2f}",
        ]
        for c in characteristics
    ]
    return Table(
        "Patients at training and there: means with standard deviations, or shares. Difference: "
        "standardised; beyond 0.1 either way populations are commonly called different.",
        ["Feature", "Level", "Training", "There", "Difference"],
        rows,
    )


def _drift(done: ExternalValidation) -> Table:
    rows = [
        [
            one["column"],
            one["of"],
            one["severity"],
            one["why"],
            "" if one["psi"] is None else f"{one['psi']:.3f}",
        ]
        for one in done.drift["columns"]
    ]
    return Table(
        "Features and predictions against the version's reference profile.",
        ["Column", "Of", "Severity", "Why", "Stability index"],
        rows,
    )


def _encoded(png: bytes) -> str:
    return b64encode(png).decode()
