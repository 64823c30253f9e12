"""A daemon that is killed on its way from a load, or an approved retraining, to the run: what comes of it.

`main` kills a child at each point of Dagster's own tick of either sensor, has others do the next ticks, and prints
how the runs are of the partition that had a load, and a retraining approved, then; and what of a backfill that was
cut short in the same way.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from datetime import timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance import DagsterInstance
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.dagster_run import RunsFilter
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon import sensor as daemon

from e2i_assets.automation.retraining import build_retraining_sensor
from e2i_assets.automation.sensors import build_new_data_sensor
from e2i_assets.build import build_defs
from e2i_assets.cli.session import open_session
from e2i_assets.partitions import cohort_configs
from e2i_assets.registry.ledger import Version
from e2i_assets.warehouse.queries import publications
from e2i_assets.warehouse.queries.registry import registry
from e2i_assets.warehouse.queries.retraining import Wanted, request_retraining
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.backfills import Backfills, counted, in_child, killed, numbers

SENSORS = [build_new_data_sensor(), build_retraining_sensor()]
defs = dg.Definitions.merge(
    build_defs(sensor_overrides=SENSORS, schedule_overrides=[]), dg.Definitions(assets=[counted])
)

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


def backfilled(backfills: Backfills, warehouse: Warehouse, partitions: list[str]) -> dict[str, Any]:
    """A backfill of four partitions that is cut short after its second run, then carried out; and, once what was
    wrong is mended, another of the same.
    """
    refused, broken, dies, good = partitions
    numbers.update({refused: -1, broken: 0, dies: 1, good: 1})
    killed.add(dies)
    backfills.ask("first", partitions)
    ends = [backfills.round(2), backfills.round(), backfills.round()]
    submitted = backfills.runs("first")
    batches = backfills.carry_out("first")
    first = {"batches": batches, "status": backfills.status("first"), "runs": backfills.runs("first")}
    numbers.update({refused: 2, broken: 2})
    made = makings(warehouse, partitions)
    backfills.ask("second", partitions)
    assert backfills.round() == 0
    backfills.carry_out("second")
    second = {"status": backfills.status("second"), "runs": backfills.runs("second")}
    return {"ends": ends, "submitted": submitted, "first": first, "made": made,
            "second": second, "made_then": makings(warehouse, partitions)}  # fmt: skip


def makings(warehouse: Warehouse, partitions: list[str]) -> list[int]:
    """How often the stage was computed and published, of each partition."""
    counts = [
        sum(one.asset == "counted" for one in publications.makings(warehouse, partition))
        for partition in partitions
    ]
    warehouse.engine.dispose()
    return counts


def main() -> None:
    here, warehouse = open_session()
    partitions = sorted(cohort_configs(here.config_dir))
    found: dict[str, Any] = {
        "backfill": backfilled(Backfills(here, defs, HereTarget()), warehouse, partitions)
    }
    minutes = 0
    for point, (key, cohort) in zip(POINTS, sorted(cohort_configs(here.config_dir).items()), strict=True):
        due(warehouse, key, cohort.partition_key.touched)
        ends = []
        for sensor in (*(sensor.name for sensor in SENSORS), None, None):
            minutes += 1
            ends.append(in_child(lambda: tick(minutes, sensor, point)))  # noqa: B023 -- it ends before the next
        with DagsterInstance.get() as instance:
            runs = instance.get_runs(RunsFilter(tags={"dagster/partition": key}))
        by_key = {run.tags.get("dagster/run_key"): run.status.value for run in runs}
        by_key.pop(None)
        found[point] = [ends, sorted(by_key.items())]
    print(json.dumps(found))
