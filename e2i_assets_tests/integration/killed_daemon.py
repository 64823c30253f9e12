"""A daemon that is killed on its way from a load, or an approved retraining, to the run: what comes of it.

`main` kills a child at each point of Dagster's own tick of either sensor, has others do the next ticks, and prints
how the runs are of the partition that had a load, and a retraining approved, then; and of a backfill that was cut
short in the same way.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from dagster import AssetKey
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance import DagsterInstance
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.dagster_run import RunsFilter
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon import sensor as daemon
from dagster._daemon.backfill import execute_backfill_iteration

from e2i_assets.automation.retraining import build_retraining_sensor
from e2i_assets.automation.sensors import build_new_data_sensor
from e2i_assets.build import build_defs
from e2i_assets.cli.session import open_session
from e2i_assets.partitions import cohort_configs
from e2i_assets.registry.ledger import Version
from e2i_assets.warehouse.queries.registry import registry
from e2i_assets.warehouse.queries.retraining import Wanted, request_retraining
from e2i_assets.warehouse.warehouse import Warehouse

SENSORS = [build_new_data_sensor(), build_retraining_sensor()]
defs = build_defs(sensor_overrides=SENSORS, schedule_overrides=[])

POINTS = ("TICK_CREATED", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")
"""Before the sensor is asked; when its requests are kept; when the run is made; when it is queued."""


class HereTarget(WorkspaceLoadTarget):
    """This module as the code location, in the same process."""

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        origin = LoadableTargetOrigin(executable_path=sys.executable, module_name=__name__)
        return [InProcessCodeLocationOrigin(origin, location_name="here")]


def tick(minutes: int, sensor: str | None = None, die_at: str = "") -> None:
    """One round of the daemon, so many minutes later than it is; it dies at a point of a sensor's tick."""
    now, timestamp = daemon.get_current_datetime, daemon.get_current_timestamp
    later = timedelta(minutes=minutes)
    # Dagster shuffles them; the one that is to die second would else have done its work before the first dies.
    daemon.shuffled_round_robin_by_key = lambda sensors, key: sorted(sensors, key=lambda sensor: sensor.name)
    daemon.get_current_datetime = lambda: now() + later
    daemon.get_current_timestamp = lambda: timestamp() + later.total_seconds()
    flags = {sensor: {die_at: signal.SIGKILL}} if sensor else None
    logger = logging.getLogger("daemon")
    with (
        DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(HereTarget(), instance) as workspace,
    ):
        for error in daemon.execute_sensor_iteration(workspace, logger, None, None, debug_crash_flags=flags):
            assert error is None, error


def in_child(act: Callable[[], None]) -> int:
    """Do it in a process of its own; the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            logging.exception("a tick failed")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def due(warehouse: Warehouse, key: str, touched: str) -> None:
    """A load of a partition, and a retraining of its model that was approved."""
    insert = "INSERT INTO e2i.ml_load_batches (source, partitions) VALUES ('feed', :touched)"
    with warehouse.engine.begin() as connection:
        connection.execute(sa.text(insert), {"touched": json.dumps([touched])})
    name = f"e2i-conversion-{key}"
    with registry(warehouse) as ledger:
        ledger.add(Version(
            name, "conversion", key, "binary_classification", "LightGBM", "f", "classification-service", f"{name}:1",
            "h", "d", {}, {}, {}, "m", "r", version=1, mlflow_version=1, created_at=ledger.now(),
        ))  # fmt: skip
    wanted = Wanted(key, "conversion", name, 1, "drift", "drift of data is 0.9", "e2i")
    assert request_retraining(warehouse, wanted, approval=False) is not None
    warehouse.engine.dispose()  # no connection is shared with a child


def backfill(partitions: list[str]) -> tuple[list[int], list[list[str]], str, int]:
    """One of all partitions, cut short after its second run: how the rounds ended, its runs, its status, and how
    many of its runs go on at a time.
    """
    with DagsterInstance.get() as instance:
        asked = PartitionBackfill.from_asset_partitions(
            "again", asset_graph=defs.resolve_asset_graph(), partition_names=partitions,
            asset_selection=[AssetKey(["raw", "hcp_profiles"])], backfill_timestamp=time.time(), tags={},
            dynamic_partitions_store=instance, all_partitions=False, title=None, description=None, run_config=None,
        )  # fmt: skip
        instance.add_backfill(asked)
    ends = [in_child(lambda: backfill_round(most=most)) for most in (2, None, None)]  # noqa: B023 -- it ends first
    with DagsterInstance.get() as instance:
        runs = instance.get_runs(RunsFilter(tags={"dagster/backfill": "again"}))
        status = instance.get_backfill("again").status.value
        limit = instance.get_concurrency_config().run_queue_config.max_concurrent_runs
    return ends, sorted([run.tags["dagster/partition"], run.status.value] for run in runs), status, limit


def backfill_round(most: int | None) -> None:
    """One round of the daemon that carries out backfills; it dies once so many runs are submitted."""
    submit, submitted = DagsterInstance.submit_run, itertools.count(1)

    def submit_and_die(*arguments: Any) -> Any:
        run = submit(*arguments)
        if next(submitted) == most:
            os.kill(os.getpid(), signal.SIGKILL)
        return run

    DagsterInstance.submit_run = submit_and_die
    with (
        DagsterInstance.get() as instance,
        create_test_daemon_workspace_context(HereTarget(), instance) as workspace,
    ):
        logger = logging.getLogger("daemon")
        for error in execute_backfill_iteration(workspace, logger):
            assert error is None, error


def main() -> None:
    here, warehouse = open_session()
    found, minutes = {}, 0
    for point, (key, cohort) in zip(POINTS, sorted(cohort_configs(here.config_dir).items()), strict=True):
        due(warehouse, key, cohort.partition_key.touched)
        ends = []
        for sensor in (*(sensor.name for sensor in SENSORS), None, None):
            minutes += 1
            ends.append(in_child(lambda: tick(minutes, sensor, point)))  # noqa: B023 -- it ends before the next
        with DagsterInstance.get() as instance:
            runs = instance.get_runs(RunsFilter(tags={"dagster/partition": key}))
            found[point] = [ends, sorted([run.tags["dagster/run_key"], run.status.value] for run in runs)]
    found["backfill"] = backfill(sorted(cohort_configs(here.config_dir)))
    print(json.dumps(found))
