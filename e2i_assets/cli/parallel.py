"""Run partitions beside each other, each by the same command in a process of its own.

What one does to its process (no memory, killed) is no other's concern. All of them end with this process when
it is interrupted, and go on from what they had published when the command is given again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import IO

import dagster as dg

from e2i_assets.cli.runner import Interrupted, PartitionRun, following, progress_of
from e2i_assets.json_files import from_json

LISTENS_EVERY = 0.2
"""Seconds after which a wait looks for Ctrl-C, which another thread may have been given."""
ENDS_WITHIN = 30.0
"""Seconds that an interrupted partition has to end by itself."""


def command_of(partition: str, select: str, *, force: bool) -> list[str]:
    """The command that runs one partition."""
    command = [sys.executable, "-m", "e2i_assets.cli.main", "materialize", "--json"]
    return [*command, "--partition", partition, "--select", select, *(["--force"] if force else [])]


def run_in_parallel(
    partitions: Sequence[str],
    command: Callable[[str], list[str]],
    limit: int,
    instance: dg.DagsterInstance,
    *,
    show: bool,
) -> list[PartitionRun]:
    """Run partitions, at most `limit` at the same time; in their order, however they ended.

    Args:
        command: what runs a partition; it prints the document of `e2i materialize --json`.

    Raises:
        Interrupted: the user stopped it; none of the processes goes on.
    """
    processes: list[subprocess.Popen[bytes]] = []
    begins, interrupted = threading.Lock(), threading.Event()

    def run(partition: str) -> PartitionRun:
        task = progress.add_task(partition, total=None, stage="")
        with following(instance, progress, task, partition), _files() as (output, errors):
            with begins:
                if interrupted.is_set():
                    raise Interrupted(f"{partition} was not begun.")
                # A session of its own: Ctrl-C reaches it once, from here.
                process = subprocess.Popen(
                    command(partition),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
                processes.append(process)
            code = process.wait()
            result = _result(partition, code, _text(output), _text(errors))
        stages = len(result.computed) + len(result.reused)
        progress.update(task, completed=stages, total=stages, stage="done" if result.success else "failed")
        return result

    with progress_of(show) as progress, ThreadPoolExecutor(limit) as pool:
        try:
            futures = [pool.submit(run, partition) for partition in partitions]
            while wait(futures, LISTENS_EVERY).not_done:
                pass
        except KeyboardInterrupt:
            with begins:
                interrupted.set()
            _end(processes)
            raise Interrupted(
                "interrupted. What was published stays, of every partition; the same command goes on."
            ) from None
    return [future.result() for future in futures]


def _result(partition: str, code: int, output: str, errors: str) -> PartitionRun:
    if code < 0:
        name = signal.Signals(-code).name
        error = f"its process was ended by {name}; what was published stays, and the same command goes on."
        return PartitionRun(partition, "", False, 0.0, error=error)
    try:
        document = json.loads(output)
    except ValueError:
        last = errors.strip().rpartition("\n")[2]
        return PartitionRun(partition, "", False, 0.0, error=f"its process ended with {code}: {last}")
    if "error" in document:
        error = document["error"]
        return PartitionRun(partition, "", False, 0.0, error=f"{error['message']} {error['next_step']}")
    (run,) = document["runs"]
    return from_json(PartitionRun, run)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    for process in processes:
        try:
            process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _files() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """What a process writes goes to files: a pipe that nobody reads in time would stop it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        yield output, errors


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
