"""The card in a few sentences: what was done, what came of it, and where it must not be trusted."""

from __future__ import annotations

from e2i_assets.leakage.info_sheet import NOT_COVERED
from e2i_assets.modeling.card.records import CardRecords
from e2i_assets.modeling.card.wording import ends_of, figure_of, words


def summary(records: CardRecords) -> tuple[str, ...]:
    """For whoever reads nothing else."""
    return tuple(text for text in (_made(records), _reached(records), _judged(records)) if text)


def _made(records: CardRecords) -> str:
    cells, model, tuned = records.cells, records.model, records.tuned
    test = cells.text(records.evaluation.n_test)
    return (
        f"For patients of the cohort {records.cohort.cohort_name}. {model.algorithm} was chosen among "
        f"{1 + len(records.candidate.alternatives)} algorithms by cross-validation on "
        f"{cells.text(model.n_train)} training rows, and its parameters in {tuned.n_trials} trials on "
        f"{cells.text(model.n_validation)} validation rows. It was scored once on {test} test rows that had "
        "no part in either."
    )


def _reached(records: CardRecords) -> str:
    result, problem, metric = records.evaluation, records.problem, records.evaluation.primary_metric
    ends = result.interval("test")
    interval = f"95 % interval {ends_of(ends, problem, metric)}" if ends else "no interval can be stated"
    reached = (
        f"On test its {words(metric)} is {figure_of(result.primary('test'), problem, metric)} ({interval})"
    )
    others = (
        *((f"a plain {other.name}", other.value) for other in result.compared),
        ("a model that knows no feature", result.baseline),
        ("the process itself", result.oracle),
    )
    compared = [f"{name} has {problem.figure(metric, v)}" for name, v in others if v is not None]
    return f"{reached}; on the same rows {', '.join(compared)}." if compared else f"{reached}."


def _judged(records: CardRecords) -> str:
    verdicts = [ok for gates in records.gates.values() for ok in gates.values()]
    sheet = records.evaluated.leakage_sheet
    unseen = [row.type for row in sheet if row.covered_by == NOT_COVERED]
    partly = [row.type for row in sheet if row.covered_by != NOT_COVERED and NOT_COVERED in row.result]
    looked = "each of the eight types of leakage was looked for"
    if unseen or not sheet:
        looked = f"of the eight types of leakage {', '.join(unseen) or 'none'} " + (
            "were not looked for" if unseen else "was looked for"
        )
    if partly:
        looked += f"; {', '.join(partly)} leave something open"
    passed = f"{sum(verdicts)} of {len(verdicts)} blocking checks of its data and of its making were passed"
    return f"{passed}, and {looked}."


def tuning(records: CardRecords) -> str:
    """The study in words."""
    tuned, problem = records.tuned, records.problem
    metric = problem.primary_metric
    default = tuned.default_value
    against = "" if default is None else f", the defaults {problem.figure(metric, default)}"
    return (
        f"Parameters: {tuned.n_trials} trials, of which {tuned.n_completed} were finished and "
        f"{tuned.n_pruned} given up early, scored by {tuned.metric} on validation, where more is better. The "
        f"best reached {problem.figure(metric, tuned.best_value)}{against}. Of those level with it, trial "
        f"{tuned.chosen_trial}, with {problem.figure(metric, tuned.chosen_value)}, has the least loss and "
        "was trained."
    )


def limits(records: CardRecords) -> tuple[str, ...]:
    """What follows from the records about where the model must not be trusted."""
    result, cells, cohort = records.evaluation, records.cells, records.cohort
    features = [f for f in records.splits.features if f.name in records.model.features]
    undeclared = [feature.name for feature in features if not feature.known_at_index]
    small = sum(group.value is None for group in result.subgroups)
    each = (
        (
            True,
            "It was developed and evaluated on patients of one source population. There has been no "
            "evaluation on patients of another.",
        ),
        (
            True,
            f"It speaks of {cohort.brand} in {cohort.indication} and of patients who meet the criteria of "
            "its cohort. Of others nothing is known.",
        ),
        (
            True,
            "It predicts. It does not tell what would happen if a patient were treated otherwise.",
        ),
        (True, "Its figures on validation flatter, since parameters were chosen there."),
        (
            result.interval("test") is not None,
            f"It was tested on {cells.text(result.n_test)} rows. What is known of its performance is the "
            "interval, not the figure alone.",
        ),
        (
            result.interval("test") is None,
            "No interval can be stated of its figure on test: there are too few events.",
        ),
        (result.oracle is not None, "The data are synthetic. Its figures say nothing of real patients."),
        (
            bool(undeclared),
            f"Nobody has declared when these predictors are known: {', '.join(undeclared)}. That they are "
            "known on the index date rests on the data alone.",
        ),
        (small > 0, f"{small} groups of patients are too small for figures of their own."),
        (not result.subgroups, "How it does in groups of patients is not known."),
    )
    return tuple(text for holds, text in each if holds)
