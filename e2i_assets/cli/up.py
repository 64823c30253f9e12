"""`e2i up`: Dagit with its daemon and the pages that it links to, and the other parts of an installation."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
from fasteners import InterProcessLock

from e2i_assets.cli.front import LOOPBACK, front, serving
from e2i_assets.cli.output import say
from e2i_assets.cli.parts import PARTS, Part, other_parts, tell_when_ready
from e2i_assets.cli.ports import free_port, listen
from e2i_assets.cli.session import open_session
from e2i_assets.errors import E2IError
from e2i_assets.home import open_home, start_of
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import settings

EVERYWHERE = ("0.0.0.0", "::")
PR_SET_PDEATHSIG = 1
"""The number of prctl(2) for the signal that a process gets when its parent dies."""
STOPS_WITHIN = 20.0
"""Seconds that processes left over from a killed `e2i up` have to end by themselves."""


class AlreadyUp(E2IError, RuntimeError):
    """Another `e2i up` has this home open."""

    code = "already_up"


class DagsterEnded(E2IError, RuntimeError):
    """Dagster ended although nobody stopped it here."""

    code = "dagster_ended"
    next_step = (
        "Start it again; what was published stays, and a run that was cut off goes on where it stopped."
    )
    exit_code = 1


def run_up(host: str, port: int, only: Sequence[str] = ()) -> int:
    """Serve until interrupted; this process keeps the embedded warehouse running meanwhile.

    Args:
        only: parts to run (`parts.PARTS`); all where none is named.

    Raises:
        AlreadyUp: another one serves this home.
        PortUnavailable: something else listens there.
        DagsterEnded: it was killed, or failed; none of its processes is left.
        PartEnded: another part does not stay up; nothing is left of the others.
    """
    workspace = settings().workspace
    open_home(settings().home_dir)
    with _alone(settings().home_dir, f"http://{host}:{port}") as note, ExitStack() as serves:
        listening = listen(host, port) if "dagit" in (only or PARTS) else None
        here, _ = open_session()
        stopped = Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: stopped.set())
        parts = other_parts(here, only or PARTS)
        if listening is not None:
            own = free_port()
            command = [
                sys.executable, "-m", "dagster", "dev",
                "--workspace", str(workspace), "--host", LOOPBACK, "--port", str(own),
            ]  # fmt: skip
            say(
                f"Dagit: http://{host}:{port} (Ctrl-C stops it), on {here.home_dir}. Port {own}, which "
                "Dagster tells below, is behind it and has no pages of reports."
            )
            ready = f"http://{LOOPBACK if host in EVERYWHERE else host}:{port}/server_info"
            parts.insert(0, Part("dagit", command, f"http://{host}:{port}", ready, again=False))
            serves.enter_context(serving(front(ArtifactStore(here.artifacts_url), own, host), listening))
        try:
            for part in parts:
                _remember(note, part.start(_end_with_parent), part.name)
            telling = Thread(target=tell_when_ready, args=(parts, stopped.is_set), daemon=True)
            telling.start()
            _watch(parts, note, stopped)
        finally:
            stopped.set()
            for part in parts:
                part.stop()
            for part in parts:
                part.wait(STOPS_WITHIN)
        return 0


def _watch(parts: Sequence[Part], note: Path, stopped: Event) -> None:
    """Start again what ends, until it is enough.

    Raises:
        DagsterEnded: Dagster ended, which does so by itself only when it fails.
    """
    while not stopped.wait(0.5):
        for part in [part for part in parts if part.ended()]:
            assert part.process
            end_session(part.process.pid)
            if not part.again:
                raise DagsterEnded(ended(part.process.returncode))
            say(f"{part.name} ended ({part.process.returncode}); it is started again")
            _remember(note, part.start(_end_with_parent), part.name)


def ended(code: int) -> str:
    """How Dagster ended, by what a process of Python's says of it: a signal is a number below zero."""
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended by itself, with {code}"
    return f"Dagster {how}; its other processes were ended too."


def end_session(number: int) -> None:
    """End all processes of a session, whose first one may be gone already."""
    left = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == number:
                left.append(process)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _wait_or_kill(left)


def _end_with_parent() -> None:
    """Have Linux end Dagster where this process is killed; elsewhere the next `e2i up` does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _alone(home: Path, url: str) -> Iterator[Path]:
    """Hold the home for one `e2i up`, and end what a killed one left running; yields the file that says what.

    Raises:
        AlreadyUp: another one holds it.
    """
    note = home / "up.json"
    lock = InterProcessLock(home / "up.lock")
    if not lock.acquire(blocking=False):
        raise AlreadyUp(
            f"{home} is served already, at {_noted(note).get('url', 'another port')}.",
            "Stop that one first (Ctrl-C), or set E2I_HOME to another folder.",
        )
    try:
        _end_left_over(_noted(note))
        note.write_text(json.dumps({"url": url}))
        yield note
        note.unlink()
    finally:
        lock.release()


def _remember(note: Path, process: subprocess.Popen[bytes], part: str = "dagit") -> None:
    with suppress(psutil.NoSuchProcess):
        started = start_of(psutil.Process(process.pid))
        parts = {**_noted(note).get("parts", {}), part: {"pid": process.pid, "started": started}}
        note.write_text(json.dumps({**_noted(note), "parts": parts}))


def _noted(note: Path) -> dict[str, Any]:
    """What the file says; nothing where it was being written."""
    try:
        return dict(json.loads(note.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _end_left_over(noted: dict[str, Any]) -> None:
    """End parts and their children, where the process of that number is still the one that was started."""
    for name, known in noted.get("parts", {}).items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(known["pid"])
            if start_of(process) != known["started"]:
                continue
            left = [process, *process.children(recursive=True)]
            say(f"ending {name} (process {process.pid}), which an `e2i up` that was killed left running")
            process.terminate()
            _wait_or_kill(left)


def _wait_or_kill(left: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(left, timeout=STOPS_WITHIN)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOPS_WITHIN)
