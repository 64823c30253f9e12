"""Fail closed: the gates of model candidate, preprocessor, evaluation and bundle."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from e2i_assets.assets.bento_bundle import packed_pipeline, probe_rows
from e2i_assets.assets.scoped import labelled
from e2i_assets.gates.bento_bundle import Answers
from e2i_assets.modeling.evaluation.evaluate import CriterionResult, evaluate, meets
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.preprocessing.refit import FitCheck, refit_check
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.scopes.answerable import Answerability, assess, require_answerable
from e2i_assets.modeling.scopes.scope import SuccessCriteria
from e2i_assets.modeling.selection.candidate import select_candidate
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases
from e2i_assets_tests.unit.modeling_frames import FEATURES, TEST, TRAIN, VALIDATION, scope, trained

NAMES = [feature.name for feature in FEATURES]
DATED = {"lab_1": pd.Timestamp("2024-01-01", tz="Asia/Tokyo")}
BAD = "training_data"


def table(split: Any, **changes: Any) -> pd.DataFrame:
    return split.X.assign(started=split.y.astype(float)).assign(**changes)


def fitted(train: pd.DataFrame) -> FitCheck:
    X = labelled("train", train, NAMES, scope()).X
    return refit_check(fit_preprocessor(X, FEATURES), X, lambda frame: fit_preprocessor(frame, FEATURES))


def evaluated(test: pd.DataFrame) -> Evaluation:
    return evaluate(trained("LogisticRegression"), labelled("test", test, NAMES, scope()), VALIDATION, TRAIN)


def judged(test: pd.DataFrame) -> tuple[CriterionResult, ...]:
    return meets(SuccessCriteria({"min_auc": 0.0}), evaluated(test))


def answered(validation: pd.DataFrame) -> Answers:
    answer = trained("LogisticRegression").predict(probe_rows(validation, FEATURES))
    return Answers(answer, answer, answer)


def assessed(train: pd.DataFrame) -> Answerability:
    """As the stage does it: what stands against an answer is raised, else an algorithm is chosen."""
    evidence = assess(
        scope(), train, table(VALIDATION), FEATURES, followup_days=90, outcomes={"started": "conversion"},
        audited=["started"],
    )  # fmt: skip
    require_answerable(evidence)
    select_candidate(scope(), labelled("train", train, NAMES, scope()), features=FEATURES, seed=0)
    return evidence


ANSWERABLE = {
    "missing column": Case(partial(assessed, table(TRAIN).drop(columns="lab_1")), "missing_column"),
    "missing library": Case(partial(assessed, table(TRAIN)), "missing_library", without="sklearn"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(assessed, table(TRAIN).head(0)), "outcome_unknown"),
    "all-null column": Case(partial(assessed, table(TRAIN, started=np.nan)), "outcome_unknown"),
    "one row": Case(partial(assessed, table(TRAIN).head(1)), "unusable_outcome"),
    "wrong time zone": Case(partial(assessed, table(TRAIN, started=DATED["lab_1"])), "unusable_outcome"),
    "nothing evaluated": Case(lambda: Answerability("", 0, 0, 0, None, 0, (), ()), "nothing_evaluated"),
}
PREPROCESSOR = {
    "missing column": Case(partial(fitted, table(TRAIN).drop(columns="lab_1")), BAD),
    "missing library": Case(partial(fitted, table(TRAIN)), "missing_library", without="sklearn"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(fitted, table(TRAIN).head(0)), BAD),
    "all-null column": Case(partial(fitted, table(TRAIN, lab_1=np.nan)), "not_train_alone"),
    "one row": Case(partial(fitted, table(TRAIN).head(1)), BAD),
    "wrong time zone": Case(partial(fitted, table(TRAIN, **DATED)), BAD),
    "nothing evaluated": Case(lambda: FitCheck(0, ()), "nothing_evaluated"),
}
EVALUATION = {
    "missing column": Case(partial(judged, table(TEST).drop(columns="lab_1")), BAD),
    "missing library": Case(partial(judged, table(TEST)), "missing_library", without="sklearn"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(judged, table(TEST).head(0)), BAD),
    "all-null column": Case(partial(judged, table(TEST, started=np.nan)), BAD),
    "one row": Case(partial(judged, table(TEST).head(1)), BAD),
    "wrong time zone": Case(partial(judged, table(TEST, started=DATED["lab_1"])), BAD),
    "nothing evaluated": Case(tuple, "no_criteria"),
}
SUBGROUPS = {
    "missing column": Case(partial(evaluated, table(TEST).drop(columns="lab_1")), BAD),
    "missing library": Case(partial(evaluated, table(TEST)), "missing_library", without="sklearn"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(evaluated, table(TEST).head(0)), BAD),
    "all-null column": Case(partial(evaluated, table(TEST, started=np.nan)), BAD),
    "one row": Case(partial(evaluated, table(TEST).head(1)), BAD),
    "wrong time zone": Case(partial(evaluated, table(TEST, started=DATED["lab_1"])), BAD),
    "nothing evaluated": Case(partial(evaluated, table(TEST)), "not_decided"),
}
BUNDLE = {
    "missing column": Case(partial(answered, table(VALIDATION).drop(columns="lab_1")), BAD),
    "missing library": Case(partial(packed_pipeline, None), "missing_library", without="joblib"),
    "exception inside": EXCEPTION,
    "empty input": Case(lambda: Answers(np.empty(0), np.empty(0), None), "nothing_evaluated"),
    "all-null column": Case(lambda: Answers(np.full(20, np.nan), np.full(20, np.nan), None), "not_finite"),
    "one row": Case(partial(answered, table(VALIDATION).head(1)), "too_few_answers"),
    "wrong time zone": Case(partial(answered, table(VALIDATION, **DATED)), BAD),
    "nothing evaluated": Case(lambda: Answers(np.full(20, 0.5), np.empty(0), None), "too_few_answers"),
}
CASES: Cases = {
    "answerable": ANSWERABLE,
    "fitted_on_train": PREPROCESSOR,
    "success_criteria": EVALUATION,
    "subgroup_gaps": SUBGROUPS,
    "bundle_answers": BUNDLE,
}
