"""What earlier evaluations say of an algorithm, which the ranking of a selection asks."""

from __future__ import annotations

import datetime as dt

from e2i_assets.gates.evaluation import SUCCESS_CRITERIA as GATE
from e2i_assets.modeling.selection.candidate import Record
from e2i_assets.warehouse.queries.models import SUCCESS_CRITERIA, evaluations_before
from e2i_assets.warehouse.records import gate_results, training_runs
from e2i_assets.warehouse.warehouse import Warehouse

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def at(hours: float) -> dt.datetime:
    return NOON + dt.timedelta(hours=hours)


def train(warehouse: Warehouse, hours: float, algorithm: str, model: str, scope: str = "conversion") -> None:
    row = {
        "partition": "fabhalta_pnh", "scope": scope, "algorithm": algorithm, "model_fingerprint": model,
        "hyperparameters": {}, "training_samples": 1, "validation_samples": 1, "metrics": {},
        "data_versions": {}, "run_id": "r", "completed_at": at(hours),
    }  # fmt: skip
    warehouse.record(training_runs, [row])


def judge(
    warehouse: Warehouse, hours: float, passed: bool, scope: str = "conversion", gate: str = SUCCESS_CRITERIA
) -> None:
    row = {
        "asset": f"{scope}/evaluation", "partition": "fabhalta_pnh", "version": "v", "gate": gate,
        "passed": passed, "details": {}, "run_id": "r", "evaluated_at": at(hours),
    }  # fmt: skip
    warehouse.record(gate_results, [row])


def test_each_model_counts_by_its_last_evaluation_before_the_moment(warehouse: Warehouse) -> None:
    assert GATE.name == SUCCESS_CRITERIA
    scopes = ["conversion", "churn"]
    judge(warehouse, -9, True)  # of a model that is not on record
    train(warehouse, -8, "XGBoost", "a")
    judge(warehouse, -7, False)
    judge(warehouse, -6, True)  # the same model again
    judge(warehouse, -6, False, gate="another gate")
    train(warehouse, -5, "XGBoost", "b")
    judge(warehouse, -4, False)
    train(warehouse, -5, "LightGBM", "c", scope="churn")
    judge(warehouse, -4, True, scope="churn")
    train(warehouse, -5, "Ridge", "d", scope="ltv")
    judge(warehouse, -4, True, scope="ltv")
    train(warehouse, -3, "LightGBM", "e", scope="churn")  # not judged yet
    judge(warehouse, 1, True, scope="churn")  # afterwards
    assert evaluations_before(warehouse, NOON, scopes) == {"LightGBM": Record(1, 1), "XGBoost": Record(1, 2)}
    assert evaluations_before(warehouse, at(2), ["churn"]) == {"LightGBM": Record(2, 2)}
    assert evaluations_before(warehouse, at(-6.5), scopes) == {"XGBoost": Record(0, 1)}
    assert evaluations_before(warehouse, None, scopes) == {}
