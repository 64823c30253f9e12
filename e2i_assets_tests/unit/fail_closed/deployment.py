"""Fail closed: the gates of deployment and holdout validation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from e2i_assets.assets.deployment import Deployed, answered_by, health_of
from e2i_assets.assets.scoped import labelled
from e2i_assets.gates.deployment import Answering
from e2i_assets.modeling.evaluation.holdout import HoldoutEvaluation, Measured, measured
from e2i_assets.serving import bento_store
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases
from e2i_assets_tests.unit.fail_closed.models import BAD, DATED, NAMES, table
from e2i_assets_tests.unit.modeling_frames import TEST, scope, trained

DEPLOYED = Deployed("a", 1, "f", "classification-service", "r1")
RELEASE = "classification-service:r1"


def told(models: Mapping[str, Any] | None, release: str | None = RELEASE) -> Answering:
    return answered_by({"models": models or {}, "release": release}, DEPLOYED)


def in_store(folder: Path) -> None:
    with bento_store(folder):
        pass


def validated(holdout: pd.DataFrame) -> HoldoutEvaluation:
    split = labelled("holdout", holdout, NAMES, scope())
    figures = measured(scope().problem, split.y, trained("LogisticRegression").predict(split.X), 0.5)
    of = figures["roc_auc"]
    return HoldoutEvaluation("a", 1, "f", "roc_auc", True, of, of, figures, len(split.y))


def unmeasured(holdout: Measured) -> HoldoutEvaluation:
    return HoldoutEvaluation("a", 1, "f", "roc_auc", True, holdout, Measured(0.8, 0.7, 0.9), {}, 0)


CASES: Cases = {
    "release_answers": {
        "missing column": Case(partial(told, {"b": {"version": "1"}}), "no_answer"),
        "missing library": Case(partial(in_store, Path("nowhere")), "missing_library", without="bentoml"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(answered_by, {}, DEPLOYED), "no_answer"),
        "all-null column": Case(partial(told, {"a": {"version": None}}, None), "no_answer"),
        "one row": Case(partial(told, {"a": {"version": "2"}}), "other_version_answers"),
        "wrong time zone": Case(partial(told, {"a": {"version": "1"}}, "x:r0"), "other_version_answers"),
        "nothing evaluated": Case(
            lambda: answered_by(health_of("http://127.0.0.1:9"), DEPLOYED), "no_answer"
        ),
    },
    "holdout_as_test": {
        "missing column": Case(partial(validated, table(TEST).drop(columns="lab_1")), BAD),
        "missing library": Case(partial(validated, table(TEST)), "missing_library", without="sklearn"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(validated, table(TEST).head(0)), BAD),
        "all-null column": Case(partial(validated, table(TEST, started=float("nan"))), BAD),
        "one row": Case(partial(validated, table(TEST).head(1)), BAD),
        "wrong time zone": Case(partial(validated, table(TEST, started=DATED["lab_1"])), BAD),
        "nothing evaluated": Case(partial(unmeasured, Measured(None)), "not_comparable"),
    },
}
