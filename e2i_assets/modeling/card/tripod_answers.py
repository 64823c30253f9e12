"""What the records of a model answer of TRIPOD+AI; items that they say nothing of are not here."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from e2i_assets.modeling.card.records import CardRecords
from e2i_assets.modeling.card.wording import words


def answers(records: CardRecords) -> Mapping[str, str]:
    """Number of an item to its answer, which names the section of the card where there is more."""
    return {**_design(records), **_data(records), **_methods(records), **_results(records)}


def _design(records: CardRecords) -> dict[str, str]:
    scope, cohort = records.scope, records.cohort
    criteria = ", ".join(f"{c.name} {c.threshold:g}" for c in scope.success_criteria)
    return {
        "1": "Development and internal evaluation of a prediction model. Population: patients of "
        f"{cohort.indication}, with regard to {cohort.brand}. Outcome: {scope.target}.",
        **({"3a": cohort.clinical_rationale} if cohort.clinical_rationale else {}),
        "4": f"{scope.description} Success criteria, set beforehand: {criteria}.",
    }


def _data(records: CardRecords) -> dict[str, str]:
    scope, quality = records.scope, records.quality
    windows = records.cohort.temporal_requirements
    horizon = (
        f"Known within {windows.followup_days} days after the index date ({windows.index_date_field})."
        if windows
        else "Nobody has an index date."
    )
    return {
        "5a": f"One source population: tables {', '.join(sorted(quality.table_rows))} of the warehouse, in "
        "the versions under Provenance. Development and evaluation data are splits of it, by patient.",
        "5b": _months(records),
        "6b": "; ".join(entry.label for entry in records.attrition.eligibility_log)
        or "No criteria: every journey of the partition.",
        "7": f"Quality score {quality.score:.2f} of 1 ({quality.status}), of five dimensions and expectation "
        "suites. Preprocessing is fitted on the training split alone.",
        "8a": f"{scope.target}: {scope.description} {horizon}",
        "9a": f"{len(records.model.features)} of {len(records.splits.features)} features of what precedes "
        "the index date, chosen on the training split alone.",
        "9b": "See Predictors: each with its meaning, its kind, and when it is known.",
        "11": "Numbers: the median of the training split, with an indicator of what was missing. Categories: "
        "missing is a level of its own. True or false: the more frequent. Patients without a known outcome "
        "are left out.",
    }


def _months(records: CardRecords) -> str:
    """Months only: a day may be a patient's."""
    index = pd.to_datetime(records.splits.train["index_date"], errors="coerce").dropna()
    if index.empty:
        return "No dates: nobody has an index date."
    return f"Index dates of the training split: {index.min():%B %Y} to {index.max():%B %Y}."


def _methods(records: CardRecords) -> dict[str, str]:
    candidate, tuned, problem = records.candidate, records.tuned, records.problem
    order = {"random": "at random", "temporal": "in the order of their index dates"}[
        records.scope.split_order
    ]
    strata = ", stratified by outcome" if problem.stratified else ""
    groups = (
        "Measured by age band, sex, region and insurance; a group that the model serves worse by more than "
        "chance raises a warning. Nothing is corrected."
    )
    return {
        "12a": f"Patients were divided {order}{strata}: 60 % train, 20 % validation, 15 % test, 5 % holdout. "
        "Each keeps the split for ever, and test is opened once for a model.",
        "12b": "Numbers are standardised. Categories are a column per level, rare levels together; those of "
        "very many levels are encoded by the outcome, within folds of the training split.",
        "12c": f"{candidate.rationale}. Then {tuned.n_trials} trials of its parameters, by {tuned.metric} on "
        "validation.",
        "12e": f"{words(problem.primary_metric)} first, the others under Performance, all with 95 % "
        "intervals, beside a model without features and a plain linear one.",
        "12g": "By the pipeline that is served, its preprocessing included.",
        **({"14": groups} if records.evaluation.subgroups else {}),
        "15": _output(records),
        "16": "None by design: both are splits of one cohort. Their largest difference is under "
        "Leakage, L3.3.",
    }


def _output(records: CardRecords) -> str:
    result = records.evaluation
    parts = ["A number." if records.problem.problem_type == "regression" else "Probabilities."]
    if result.threshold is not None:
        rule = f" by {result.threshold_rule}" if result.threshold_rule else ""
        parts.append(f"Positive from {result.threshold:.3f} on, chosen{rule} on validation.")
    if result.calibration:
        parts.append(f"Calibration, chosen on validation: {result.calibration}.")
    return " ".join(parts)


def _results(records: CardRecords) -> dict[str, str]:
    cells, result, model = records.cells, records.evaluation, records.model
    return {
        "18f": "The platform's code is under Apache-2.0. The versions under Provenance give the same model "
        "again.",
        "20a": f"See Participants: of {cells.text(records.attrition.total_count)} journeys "
        f"{cells.text(records.attrition.eligible_count)} are in the cohort.",
        "20b": "See Predictors for what is missing of each.",
        "20c": "See Leakage, L3.3, for the largest standardised difference between train and test.",
        "21": f"{cells.text(model.n_train)} rows to fit, {cells.text(model.n_validation)} to choose "
        f"parameters, {cells.text(result.n_test)} to evaluate. Outcomes are under Participants.",
        "22": f"One pipeline of libraries' own classes, fingerprint {model.fingerprint[:16]}, served as a "
        "bundle. Parameters are under Model.",
        "23a": "See Performance: every metric with its interval, and plots"
        + ("; and Subgroups." if result.subgroups else "."),
        "24": "Nothing was updated: this version is a model of its own.",
        "26": "See Limits, for those that follow from the records.",
        "27a": "A request without one of the features is refused; a null is a missing value. Values outside "
        "their contract are refused, those unlike the training split's are answered with a warning.",
    }
