"""A backfill of all partitions that Dagster's daemon carries out: of whom one is refused, one broken, one killed.

Its rounds and its runs are each a process of its own, as those of `killed_daemon` are.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.execution.api import execute_run
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance import DagsterInstance
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.storage.dagster_run import RunsFilter
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._utils.hosted_user_process import recon_job_from_origin

from e2i_assets.gates.verdict import Gate
from e2i_assets.settings import Settings
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets_tests.integration.gate_world import Number, positive
from e2i_assets_tests.run_launcher import RunLauncherOfTests

COUNTED = dg.AssetKey("counted")
PARTITION, PARENT = "dagster/partition", "dagster/parent_run_id"
LOGGER = logging.getLogger("daemon")
ROUNDS = 12
"""In which a backfill comes to its end, or never does."""
numbers: dict[str, int] = {}
"""Partition to what its source says: negative ones the gate refuses, at 0 the stage breaks."""
killed: set[str] = set()
"""Partitions whose first run is killed."""


@stage(
    key=COUNTED, group="test", description="", kinds=set(), gates=(Gate("is_positive", "", positive),),
    config=lambda context: numbers[context.partition],
)  # fmt: skip
def counted(context: StageContext) -> StageResult:
    """A stage, small enough for four of it to go on beside each other."""
    if context.partition in killed and PARENT not in context.dagster.run.tags:
        os.kill(os.getpid(), signal.SIGKILL)
    if numbers[context.partition] == 0:
        raise RuntimeError("the source is broken")
    return StageResult(Number(numbers[context.partition]))


class NotingLauncher(RunLauncherOfTests):
    """Notes which runs are to go on; `main` has them do it, and asks when the processes of all have ended."""

    def carry_out(self, context: LaunchRunContext) -> None:
        with _launched().open("a") as file:
            file.write(f"{context.dagster_run.run_id}\n")


def _launched() -> Path:
    return Path(os.environ["DAGSTER_HOME"]) / "launched"


def begin(act: Callable[[], None]) -> int:
    """Have a process of its own do it; its number."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            logging.exception("a round failed")
            os._exit(1)
        os._exit(0)
    return child


def end(child: int) -> int:
    """The signal that ended it, or 0."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(act: Callable[[], None]) -> int:
    """Do it in a process of its own; the signal that ended it."""
    return end(begin(act))


class Backfills:
    """Backfills of one stage, and the rounds of the daemon that carries them out."""

    def __init__(self, here: Settings, defs: dg.Definitions, target: WorkspaceLoadTarget) -> None:
        file = here.dagster_home / "dagster.yaml"
        ours = {"run_launcher": {"module": __name__, "class": NotingLauncher.__name__}}
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | ours))
        self._defs, self._target = defs, target

    def ask(self, name: str, partitions: list[str]) -> None:
        """As Dagit's button does."""
        with DagsterInstance.get() as instance:
            instance.add_backfill(PartitionBackfill.from_asset_partitions(
                name, asset_graph=self._defs.resolve_asset_graph(), partition_names=partitions,
                asset_selection=[COUNTED], backfill_timestamp=time.time(), tags={},
                dynamic_partitions_store=instance, all_partitions=False, title=None, description=None,
                run_config=None,
            ))  # fmt: skip

    def round(self, die_after: int | None = None) -> int:
        """A round that looks after runs and submits them, and dies once so many are; the signal that ended it."""

        def submit_and_die() -> None:
            submit, submitted = DagsterInstance.submit_run, itertools.count(1)

            def one(*arguments: Any) -> Any:
                run = submit(*arguments)
                if next(submitted) == die_after:
                    os.kill(os.getpid(), signal.SIGKILL)
                return run

            DagsterInstance.submit_run = one
            self._with_daemon(_look_after)

        return in_child(submit_and_die)

    def launch(self) -> list[str]:
        """A round of the queue; the runs that it launched."""
        _launched().write_text("")
        queue = QueuedRunCoordinatorDaemon(5)
        assert in_child(lambda: self._with_daemon(queue.run_iteration)) == 0
        return _launched().read_text().splitlines()

    def carry_out(self, name: str) -> list[int]:
        """Rounds until a backfill has ended; how many runs each of them launched."""
        batches = []
        for _ in range(ROUNDS):
            run_ids = self.launch()
            batches.append(len(run_ids))
            for child in [begin(lambda: _execute(run_id)) for run_id in run_ids]:  # noqa: B023 -- it has begun
                end(child)
            assert self.round() == 0
            if self.status(name) not in ("REQUESTED", "FAILING"):
                return batches
        raise AssertionError(f"backfill {name} has no end")

    def status(self, name: str) -> str:
        with DagsterInstance.get() as instance:
            backfill = instance.get_backfill(name)
            assert backfill is not None
            return backfill.status.value

    def runs(self, name: str) -> list[tuple[str, str]]:
        """Partition and status of the runs of a backfill, a partition's in their order."""
        with DagsterInstance.get() as instance:
            runs = instance.get_runs(RunsFilter(tags={"dagster/backfill": name}))[::-1]
        return sorted(((run.tags[PARTITION], run.status.value) for run in runs), key=lambda run: run[0])

    def _with_daemon(self, work: Callable[[Any], Iterator[Any]]) -> None:
        with (
            DagsterInstance.get() as instance,
            create_test_daemon_workspace_context(self._target, instance) as workspace,
        ):
            for error in work(workspace):
                assert error is None or isinstance(error, bool), error


def _look_after(workspace: Any) -> Iterator[Any]:
    """What the daemon does in each round: of runs whose process has ended, of those to be launched again, of
    backfills."""
    yield from execute_run_monitoring_iteration(workspace, LOGGER)
    yield from EventLogConsumerDaemon().run_iteration(workspace)
    yield from execute_backfill_iteration(workspace, LOGGER)


def _execute(run_id: str) -> None:
    with DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.job_code_origin is not None
        execute_run(recon_job_from_origin(run.job_code_origin), run, instance, raise_on_error=False)
