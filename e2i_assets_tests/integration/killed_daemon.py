"""A sensor daemon that is killed on its way from a load to the run: what of it is there once another has come.

`main` kills a child at each point of Dagster's own tick, has others do the next ticks, and prints how the runs
of the partition that had a load then are.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa
from dagster._core.instance import DagsterInstance
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.dagster_run import RunsFilter
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon import sensor as daemon

from e2i_assets.automation.sensors import build_new_data_sensor
from e2i_assets.build import build_defs
from e2i_assets.cli.session import open_session
from e2i_assets.partitions import cohort_configs

defs = build_defs(sensor_overrides=[build_new_data_sensor()], schedule_overrides=[])

POINTS = ("TICK_CREATED", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")
"""Before the sensor is asked; when its requests are kept; when the run is made; when it is queued."""


class HereTarget(WorkspaceLoadTarget):
    """This module as the code location, in the same process."""

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        origin = LoadableTargetOrigin(executable_path=sys.executable, module_name=__name__)
        return [InProcessCodeLocationOrigin(origin, location_name="here")]


def tick(minutes: int, die_at: str | None) -> None:
    """One round of the daemon, so many minutes later than it is."""
    now, timestamp = daemon.get_current_datetime, daemon.get_current_timestamp
    later = timedelta(minutes=minutes)
    daemon.get_current_datetime = lambda: now() + later
    daemon.get_current_timestamp = lambda: timestamp() + later.total_seconds()
    flags = {"new_data_sensor": {die_at: signal.SIGKILL}} if die_at else None
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


def main() -> None:
    here, warehouse = open_session()
    found, minutes = {}, 0
    for point, (key, cohort) in zip(POINTS, sorted(cohort_configs(here.config_dir).items()), strict=True):
        with warehouse.engine.begin() as connection:
            insert = "INSERT INTO e2i.ml_load_batches (source, partitions) VALUES ('feed', :touched)"
            connection.execute(sa.text(insert), {"touched": json.dumps([cohort.partition_key.touched])})
        warehouse.engine.dispose()  # no connection is shared with a child
        minutes += 1
        killed = in_child(lambda: tick(minutes, point))  # noqa: B023 -- it ends before the next
        ends = []
        for _ in range(2):
            minutes += 1
            ends.append(in_child(lambda: tick(minutes, None)))  # noqa: B023
        with DagsterInstance.get() as instance:
            runs = instance.get_runs(RunsFilter(tags={"dagster/partition": key}))
            found[point] = [killed, ends, [[run.status.value, run.tags["dagster/run_key"]] for run in runs]]
    print(json.dumps(found))
