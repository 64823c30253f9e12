"""The platform's daemon, one round at a time: its sensors, its queue, its runs, and what looks after them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.sensor import execute_sensor_iteration

from e2i_assets.automation.attempts import UNFINISHED
from e2i_assets.cli.instance import dagster_instance
from e2i_assets.settings import Settings
from e2i_assets_tests.simulation.clock import Clock
from e2i_assets_tests.simulation.launcher import HereLauncher

MINUTES = 5
"""From one round to the next."""
QUIET = 2
"""Rounds in which nothing is launched, after which nobody waits for anything any more: in the first of them
what the last run raised may be told of by a sensor whose turn came before the alert."""
MOST = 30
"""Rounds of a day; more of them do not come to rest."""


class HereTarget(WorkspaceLoadTarget):
    """The platform's own definitions as the code location, in this process."""

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        origin = LoadableTargetOrigin(executable_path=sys.executable, module_name="e2i_assets.definitions")
        return [InProcessCodeLocationOrigin(origin, location_name="e2i_assets")]


class Daemon:
    """Dagster's daemon on the platform's definitions.

    Attributes:
        errors: what its own parts could not do.
    """

    def __init__(self, workspace: WorkspaceProcessContext, clock: Clock) -> None:
        self._workspace, self._clock = workspace, clock
        self._queue, self._retries = QueuedRunCoordinatorDaemon(5), EventLogConsumerDaemon()
        self._logger = logging.getLogger("daemon")
        self.instance: dg.DagsterInstance = workspace.instance
        self.errors: list[Any] = []

    @property
    def launcher(self) -> HereLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, HereLauncher)
        return launcher

    def settle(self) -> int:
        """Rounds until nothing is left to be done; how many there were."""
        quiet = rounds = 0
        while quiet < QUIET:
            assert rounds < MOST, "the daemon does not come to rest"
            rounds += 1
            quiet = 0 if self.round() else quiet + 1
            self._clock.advance(MINUTES)
        return rounds

    def round(self) -> bool:
        """One round; whether a run was launched, ended or waits."""
        before = self._state()
        self._do(execute_sensor_iteration(self._workspace, self._logger, None, None))
        self._do(self._queue.run_iteration(self._workspace))
        self._do(execute_run_monitoring_iteration(self._workspace, self._logger))
        self._do(self._retries.run_iteration(self._workspace))
        after = self._state()
        return after != before or any(status in UNFINISHED for status in after.values())

    def _state(self) -> dict[str, dg.DagsterRunStatus]:
        return {run.run_id: run.status for run in self.instance.get_runs()}

    def _do(self, work: Iterable[Any]) -> None:
        self.errors += [error for error in work if error is not None and not isinstance(error, bool)]


@contextmanager
def daemon(here: Settings, clock: Clock) -> Iterator[Daemon]:
    """The daemon of an installation whose session is open."""
    file = here.dagster_home / "dagster.yaml"
    ours = {"run_launcher": {"module": HereLauncher.__module__, "class": HereLauncher.__name__}}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | ours))
    with (
        dagster_instance() as instance,
        create_test_daemon_workspace_context(HereTarget(), instance) as workspace,
    ):
        yield Daemon(workspace, clock)
