"""Fail closed: the gate of the registered model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from e2i_assets.assets.registered_model import evidence_of_prediction
from e2i_assets.gates.registered_model import Entering
from e2i_assets.registry.ledger import NewVersion
from e2i_assets.registry.promotion import requirements
from e2i_assets.registry.rules import PromotionRules
from e2i_assets.resources.mlflow_registry import MlflowRegistry
from e2i_assets_tests.conftest import CONFIG
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases
from e2i_assets_tests.unit.fail_closed.models import BAD, DATED, evaluated, table
from e2i_assets_tests.unit.modeling_frames import TEST


def version(metrics: Mapping[str, float | None], train: int | None) -> NewVersion:
    return NewVersion(
        model_name="e2i-conversion-p", scope="conversion", partition="p", problem_type="binary_classification",
        algorithm="LightGBM", model_fingerprint="f", service="classification-service", bento_tag="a:b",
        files_hash="0", data_version="d", trained_on={}, metrics=metrics, samples={"train": train},
        mlflow_run_id="m", run_id="r",
    )  # fmt: skip


def entering(metrics: Mapping[str, float | None], train: int | None = 500) -> Entering:
    return Entering(
        "version 1", "staging", requirements(PromotionRules.of(CONFIG), version(metrics, train), "staging")
    )


def of_test(test: pd.DataFrame) -> Entering:
    return entering(evidence_of_prediction(evaluated(test)))


def numbered() -> int:
    return MlflowRegistry("sqlite://").number_of(version({}, 500))


CASES: Cases = {
    "promotion_rules": {
        "missing column": Case(partial(of_test, table(TEST).drop(columns="lab_1")), BAD),
        "missing library": Case(numbered, "missing_library", without="mlflow"),
        "exception inside": EXCEPTION,
        "empty input": Case(partial(entering, {}), "rules_not_met"),
        "all-null column": Case(partial(entering, {"auc": None}), "rules_not_met"),
        "one row": Case(partial(entering, {"auc": 0.9}, 1), "rules_not_met"),
        "wrong time zone": Case(partial(of_test, table(TEST, started=DATED["lab_1"])), BAD),
        "nothing evaluated": Case(partial(Entering, "version 1", "staging", ()), "no_rules"),
    }
}
