"""Where runs go on: in this process, or in another one that is killed in the middle of a stage."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime

import dagster as dg
import time_machine
from dagster._core.execution.api import execute_run, execute_run_iterator
from dagster._core.launcher.base import LaunchRunContext
from dagster._utils.hosted_user_process import recon_job_from_origin

from e2i_assets.cli.instance import dagster_instance
from e2i_assets_tests.run_launcher import RunLauncherOfTests

WITHIN_S = 900.0
"""In which a run comes to the stage that it is killed in, on a busy machine."""


class Doomed:
    """A process that waits for a run, and is killed once the run is in a stage.

    It is forked at once, so that it shares no thread and no connection with whoever makes it.
    """

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writing)
            code = 1
            try:
                with os.fdopen(reading) as told:
                    if order := told.readline():
                        _run(**json.loads(order))
                code = 0
            finally:
                os._exit(code)
        os.close(reading)

    def run(self, instance: dg.DagsterInstance, run_id: str, stage: str) -> None:
        """Have it carry out a run, and kill it once that is in the stage."""
        order = {"run_id": run_id, "now": datetime.now(UTC).isoformat()}
        os.write(self._writing, f"{json.dumps(order)}\n".encode())
        deadline = time.monotonic() + WITHIN_S
        while not _is_in(instance, run_id, stage):
            if time.monotonic() > deadline or os.waitpid(self.pid, os.WNOHANG)[0]:
                raise AssertionError(f"run {run_id} did not come to {stage}")
            time.sleep(0.1)
        os.kill(self.pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == -signal.SIGKILL

    def close(self) -> None:
        """It ends by itself where it was given nothing to do."""
        os.close(self._writing)


def _run(run_id: str, now: str) -> None:
    with time_machine.travel(datetime.fromisoformat(now), tick=True), dagster_instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.job_code_origin is not None
        for _ in execute_run_iterator(recon_job_from_origin(run.job_code_origin), run, instance):
            pass


def _is_in(instance: dg.DagsterInstance, run_id: str, stage: str) -> bool:
    steps = instance.get_run_step_stats(run_id, [stage.replace("/", "__")])
    return any(step.start_time is not None for step in steps)


class HereLauncher(RunLauncherOfTests):
    """Carries runs out before their launch comes back: one that goes on afterwards was killed.

    Attributes:
        victim: the process that the next run of a partition goes to, and the stage that it is killed in.
    """

    victim: tuple[Doomed, str, str] | None = None

    def carry_out(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        if self.victim is not None and run.tags.get("dagster/partition") == self.victim[1]:
            (process, _, stage), self.victim = self.victim, None
            process.run(self._instance, run.run_id, stage)
            return
        assert context.job_code_origin is not None
        execute_run(recon_job_from_origin(context.job_code_origin), run, self._instance, raise_on_error=False)
