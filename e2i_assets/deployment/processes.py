"""Processes that outlive whoever started them, and are known again by whoever comes after.

Each carries a mark in its environment. So do its own children, which a process that was killed leaves behind,
and a process that was started an instant before its starter was killed, of which nothing was written down.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import psutil

from e2i_assets.home import start_of

MARK = "E2I_PROCESS"
SECRETS = ("E2I_API_TOKEN", "E2I_VAULT_KEY")
"""Variables that no process of a service needs: it unpickles models, and strangers ask it."""
Known = tuple[int, float]
"""Number of a process and when it was started: the number alone comes again."""

_started: dict[int, subprocess.Popen[bytes]] = {}
_lock = Lock()


def start(command: Sequence[str], mark: str, log: Path, environment: Mapping[str, str]) -> Known:
    """Start a command with a mark; what it says goes to a file."""
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**inherited, **environment, MARK: mark}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    with _lock:
        _started[process.pid] = process
    with suppress(psutil.NoSuchProcess):
        return process.pid, start_of(psutil.Process(process.pid))
    return process.pid, 0.0


def runs(known: Known) -> bool:
    """Whether it is still that process, and not what is left of it until its parent asks."""
    number, started = known
    with _lock:
        if number in _started and _started[number].poll() is not None:
            del _started[number]
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(number)
        return start_of(process) == started and process.status() != psutil.STATUS_ZOMBIE
    return False


def marked(*marks: str) -> list[psutil.Process]:
    """All processes with one of these marks."""
    with _lock:
        for process in _started.values():
            process.poll()
    processes = []
    for candidate in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if candidate.environ().get(MARK) in marks and candidate.status() != psutil.STATUS_ZOMBIE:
                processes.append(candidate)
    return processes


def known(processes: Iterable[psutil.Process]) -> list[Known]:
    """What to know processes by later."""
    facts = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            facts.append((process.pid, start_of(process)))
    return facts


def end(*marks: str, within: float = 20.0) -> None:
    """End processes with one of these marks: asked first, to answer what they have begun, then killed."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        if not (left := marked(*marks)):
            return
        for process in left:
            with suppress(psutil.NoSuchProcess):
                ask(process)
        psutil.wait_procs(left, timeout=within)
