"""A study whose trials run on the workers of a Dask cluster."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import pytest

from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.tuning import trials
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig, PrunerConfig
from e2i_assets.modeling.tuning.study import TunedParams, tune
from e2i_assets.modeling.tuning.trials import ClusterLost, ClusterUnavailable, DaskPool, TrialPool
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, candidate

PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)
CONFIG = OptunaConfig(
    pruner=PrunerConfig(n_startup_trials=2, n_warmup_steps=1),
    optimization=OptimizationConfig(n_trials=9, n_jobs=3),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Two workers, each a process of its own."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        yield cluster.scheduler_address


def study(pool: TrialPool | None = None) -> TunedParams:
    return tune(candidate("LightGBM"), PREPROCESSOR, TRAIN, VALIDATION, CONFIG, study_name="s", pool=pool)


def test_a_cluster_gives_what_one_process_gives(cluster: str) -> None:
    with DaskPool(cluster) as pool:
        spread = study(pool)
    alone = study()
    assert dataclasses.replace(spread, durations=()) == dataclasses.replace(alone, durations=())
    assert spread.n_pruned > 0


def test_a_worker_that_dies_is_no_verdict_on_the_data(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "evaluate", lambda fit, rows: os._exit(1))
    with DaskPool(cluster) as pool, pytest.raises(ClusterLost, match="lost what trials ran on") as refusal:
        study(pool)
    assert not refusal.value.on_data
    assert "same command" in refusal.value.next_step


def test_a_cluster_that_does_not_answer_is_no_verdict_on_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2i_assets.modeling.tuning.trials.CONNECT_SECONDS", 0.2)
    with pytest.raises(ClusterUnavailable, match="E2I_DASK_ADDRESS") as refusal:
        DaskPool("tcp://127.0.0.1:1")
    assert not refusal.value.on_data
