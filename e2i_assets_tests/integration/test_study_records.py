"""What studies leave for later ones, and which of it a study may start from."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
import sqlalchemy as sa

from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.modeling.tuning.study import TunedParams
from e2i_assets.modeling.tuning.warm_start import ProblemProfile, WarmStart
from e2i_assets.warehouse.queries.studies import learnt_until, patterns_before, record_study
from e2i_assets.warehouse.records import hpo_patterns, load_batches
from e2i_assets.warehouse.warehouse import Warehouse

KEY, OTHER = PartitionKey("Remibrutinib", "csu"), PartitionKey("Fabhalta", "pnh")
KIND = ("LightGBM", "binary_classification")
NOW = dt.datetime.now(dt.UTC)
EARLIER, LATER = NOW - dt.timedelta(days=2), NOW + dt.timedelta(days=2)


def tuned(value: float = 0.8, start: WarmStart | None = None) -> TunedParams:
    trials = (
        {"number": 0, "params": {"num_leaves": 7}, "state": "COMPLETE", "value": 0.7},
        {"number": 1, "params": {"num_leaves": 9}, "state": "COMPLETE", "value": value},
    )
    return TunedParams(
        study_name="conversion_remibrutinib_csu", algorithm=KIND[0], search_space={}, metric="roc_auc",
        best_params={"num_leaves": 9, "n_estimators": 40}, best_trial=1, best_value=value, chosen_trial=1,
        chosen_value=value, chosen_params={"num_leaves": 9, "n_estimators": 40}, default_value=0.7,
        n_trials=2, n_completed=2, n_pruned=0, n_failed=0, trials=trials, finals=(), rows=(100,), fits=2.0,
        importance={}, warm_start=(start,) if start else (), trials_sooner=None,
        profile=ProblemProfile(*KIND, "roc_auc", 100, 12, 2, 0.3, {"numeric": 12}), durations=(0.5, 0.25),
    )  # fmt: skip


@pytest.fixture
def loaded(warehouse: Warehouse) -> Warehouse:
    """Two partitions whose data were loaded before, and a load that is still staging."""
    batch = {"source": "s", "committed_at": EARLIER, "status": "committed"}
    warehouse.record(load_batches, [batch | {"partitions": [key.touched]} for key in (KEY, OTHER)])
    return warehouse


def load(warehouse: Warehouse, key: PartitionKey, moment: dt.datetime) -> None:
    warehouse.record(load_batches, [{"source": "s", "committed_at": moment, "partitions": [key.touched]}])


def record(
    warehouse: Warehouse, study: str, result: TunedParams, until: dt.datetime | None = EARLIER
) -> None:
    record_study(warehouse, "remibrutinib_csu", "conversion", "r", result, study=study, learnt_until=until)


def test_a_study_learns_from_those_recorded_before_its_data_were_loaded(loaded: Warehouse) -> None:
    """So partitions that are tuned one after the other, in any order, know nothing of each other."""
    record(loaded, "one", tuned())
    assert patterns_before(loaded, learnt_until(loaded, "two", OTHER), *KIND) == []
    load(loaded, OTHER, LATER)
    assert learnt_until(loaded, "two", OTHER) == LATER
    (pattern,) = patterns_before(loaded, LATER, *KIND)
    assert (pattern.best_params, pattern.best_value) == ({"num_leaves": 9}, 0.8)
    assert (pattern.trials_to_best, pattern.cold) == (2, True)
    assert pattern.next_params == [{"num_leaves": 7}]
    assert pattern.profile == tuned().profile
    assert patterns_before(loaded, LATER, "XGBoost", KIND[1]) == []
    assert patterns_before(loaded, LATER, KIND[0], "regression") == []


def test_a_study_that_is_made_again_learns_from_the_same(loaded: Warehouse) -> None:
    """Also when a load has touched its partition since, and it leaves one pattern however often it is made."""
    record(loaded, "one", tuned())
    load(loaded, KEY, LATER)
    assert learnt_until(loaded, "one", KEY) == EARLIER
    assert learnt_until(loaded, "another", KEY) == LATER
    record(loaded, "one", tuned(0.9))
    assert [pattern.best_value for pattern in patterns_before(loaded, LATER, *KIND)] == [0.8]


def test_without_a_load_there_is_nothing_to_learn_from(warehouse: Warehouse) -> None:
    record(warehouse, "one", tuned())
    assert learnt_until(warehouse, "two", KEY) is None
    assert patterns_before(warehouse, None, *KIND) == []


def test_a_pattern_counts_its_uses_and_what_they_gained(loaded: Warehouse) -> None:
    record(loaded, "one", tuned(0.8))
    (pattern,) = patterns_before(loaded, LATER, *KIND)
    start = WarmStart(pattern.pattern_id, 1.0, pattern.best_params, 1, 2, cold=True, best_value=0.8)
    for study, value in (("two", 0.82), ("three", 0.86), ("three", 0.99)):
        record(loaded, study, dataclasses.replace(tuned(value, start)))
    row = sa.select(hpo_patterns).where(hpo_patterns.c.study == "one")
    with loaded.engine.connect() as connection:
        used = connection.execute(row).one()
    assert used.times_used_as_warmstart == 2
    assert used.warmstart_improvement_avg == pytest.approx(0.04)
