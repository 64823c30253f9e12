"""Studies, refutations and models whose work is spread over a Dask cluster, and workers that die at it."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from e2i_assets import cluster as dask_cluster
from e2i_assets.causal import estimate_effect, refute
from e2i_assets.cluster import Cluster, ClusterLost, ClusterUnavailable, connected
from e2i_assets.modeling.metrics.delong import delong
from e2i_assets.modeling.preprocessing.preprocessor import fit_preprocessor
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training import on_cluster
from e2i_assets.modeling.training.model import TrainedModel, train_model
from e2i_assets.modeling.tuning import trials
from e2i_assets.modeling.tuning.config import OptimizationConfig, OptunaConfig, PrunerConfig
from e2i_assets.modeling.tuning.study import TunedParams, tune
from e2i_assets.modeling.tuning.trials import ClusterPool, TrialPool
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, candidate

PREPROCESSOR = fit_preprocessor(TRAIN.X, FEATURES)
CONFIG = OptunaConfig(
    pruner=PrunerConfig(n_startup_trials=2, n_warmup_steps=1),
    optimization=OptimizationConfig(n_trials=9, n_jobs=3),
)


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    """Two workers, each a process of its own."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as workers:
        yield workers


@pytest.fixture(scope="module")
def cluster(workers: LocalCluster) -> Iterator[Cluster]:
    with connected(workers.scheduler_address) as cluster:
        yield cluster


def study(pool: TrialPool | None = None) -> TunedParams:
    return tune(candidate("LightGBM"), PREPROCESSOR, TRAIN, VALIDATION, CONFIG, study_name="s", pool=pool)


def dies(task: int, *, mark: Path) -> int:
    """Ends its process the first time."""
    if task == 1 and not mark.exists():
        mark.touch()
        os._exit(1)
    return 2 * task


def test_a_study_of_a_cluster_is_that_of_one_process(cluster: Cluster) -> None:
    spread, alone = study(ClusterPool(cluster)), study()
    assert dataclasses.replace(spread, durations=()) == dataclasses.replace(alone, durations=())
    assert spread.n_pruned > 0


def test_refutations_of_a_cluster_are_those_of_one_process(cluster: Cluster) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"severity": rng.normal(size=400)})
    frame["treated"] = (rng.random(400) < 1 / (1 + np.exp(-frame["severity"]))).astype(int)
    frame["outcome"] = frame["severity"] + frame["treated"] + rng.normal(size=400)
    report = estimate_effect(frame, treatment="treated", outcome="outcome", covariates=["severity"])
    assert refute(frame, report, repetitions=5, cluster=cluster) == refute(frame, report, repetitions=5)


def test_a_worker_that_dies_is_survived(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.map(partial(dies, mark=tmp_path / "died"), range(6)) == [0, 2, 4, 6, 8, 10]
    assert (tmp_path / "died").exists()


def trained(algorithm: str, cluster: Cluster | None = None) -> TrainedModel:
    params = dict(Binary().algorithm(algorithm).defaults)
    if "learning_rate" in params:
        params["learning_rate"] = 0.3  # fewer rounds
    return train_model(candidate(algorithm), params, PREPROCESSOR, TRAIN, VALIDATION, seed=0, cluster=cluster)


@pytest.mark.parametrize("algorithm", ["XGBoost", "LightGBM"])
def test_a_model_of_a_cluster_is_as_good_as_that_of_one_process(
    cluster: Cluster, tmp_path: Path, algorithm: str
) -> None:
    spread, alone = trained(algorithm, cluster), trained(algorithm)
    assert [spread.over_a_cluster, alone.over_a_cluster] == [True, False]
    (auc, _), (alone_auc, covariance) = (
        delong(VALIDATION.y, model.predict(VALIDATION.X)) for model in (spread, alone)
    )
    assert abs(auc[0] - alone_auc[0]) < 2 * np.sqrt(covariance[0, 0])
    assert spread.best_iteration == spread.params["n_estimators"]
    spread.save(tmp_path)
    assert (TrainedModel.load(tmp_path).predict(VALIDATION.X) == spread.predict(VALIDATION.X)).all()


def test_what_is_no_boosting_is_fitted_here(cluster: Cluster) -> None:
    assert trained("LogisticRegression", cluster).identity() == trained("LogisticRegression").identity()


def test_a_model_whose_worker_dies_is_fitted_by_the_others(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed, died = on_cluster._placed, []

    def lost(client: Client, values: np.ndarray) -> Any:
        array = placed(client, values)
        if not died:  # with the rows that it has just been given
            died.append(next(iter(client.run(os.getpid).values())))
            os.kill(died[0], signal.SIGKILL)
        return array

    monkeypatch.setattr(on_cluster, "_placed", lost)
    assert trained("XGBoost", cluster).over_a_cluster
    assert died


def test_workers_that_die_again_and_again_are_no_verdict_on_the_data(
    workers: LocalCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.scheduler, "allowed_failures", 0)
    monkeypatch.setattr(trials, "evaluate", lambda fit, rows: os._exit(1))
    with pytest.raises(ClusterLost, match="lost what ran on it") as refusal:
        study(ClusterPool(cluster))
    assert not refusal.value.on_data
    assert "same command" in refusal.value.next_step


def test_a_cluster_that_does_not_answer_is_no_verdict_on_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(ClusterUnavailable, match="E2I_DASK_ADDRESS") as refusal,
        connected("tcp://127.0.0.1:1"),
    ):
        pass
    assert not refusal.value.on_data
