"""`e2i up`: Dagit with its daemon, and the pages that it links to, on the warehouse of this installation."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import psutil
from fasteners import InterProcessLock

from e2i_assets.cli.front import LOOPBACK, front, serving
from e2i_assets.cli.output import say
from e2i_assets.cli.session import open_session
from e2i_assets.errors import E2IError
from e2i_assets.home import open_home
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import settings

PR_SET_PDEATHSIG = 1
"""The number of prctl(2) for the signal that a process gets when its parent dies."""
STOPS_WITHIN = 20.0
"""Seconds that processes left over from a killed `e2i up` have to end by themselves."""


class PortUnavailable(E2IError, RuntimeError):
    """An address that cannot be listened on."""

    code = "port_unavailable"


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


def run_up(host: str, port: int) -> int:
    """Serve until interrupted; this process keeps the embedded warehouse running meanwhile.

    Raises:
        AlreadyUp: another one serves this home.
        PortUnavailable: something else listens there.
        DagsterEnded: it was killed, or failed; none of its processes is left.
    """
    workspace = settings().workspace
    open_home(settings().home_dir)
    with _alone(settings().home_dir, f"http://{host}:{port}") as note:
        listening = listen(host, port)
        here, _ = open_session()
        own = _free_port()
        command = [
            sys.executable, "-m", "dagster", "dev",
            "--workspace", str(workspace), "--host", LOOPBACK, "--port", str(own),
        ]  # fmt: skip
        say(
            f"Dagit: http://{host}:{port} (Ctrl-C stops it), on {here.home_dir}. Port {own}, which Dagster "
            "tells below, is behind it and has no pages of reports."
        )
        # A session of its own: Ctrl-C reaches it through us, once.
        process = subprocess.Popen(command, start_new_session=True, preexec_fn=_end_with_parent)
        _remember(note, process)
        stopped = Event()

        def stop(*_: object) -> None:
            stopped.set()
            process.send_signal(signal.SIGINT)

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, stop)
        with serving(front(ArtifactStore(here.artifacts_url), own, host), listening):
            code = process.wait()
        if not stopped.is_set():
            end_session(process.pid)
            raise DagsterEnded(ended(code))
        return code


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


def _remember(note: Path, process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).create_time()
        note.write_text(json.dumps({**_noted(note), "dagster": process.pid, "started": started}))


def _noted(note: Path) -> dict[str, object]:
    """What the file says; nothing where it was being written."""
    try:
        return dict(json.loads(note.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _end_left_over(noted: dict[str, object]) -> None:
    """End Dagster and its children, if the process of that number is still the one that was started."""
    try:
        dagster = psutil.Process(int(str(noted["dagster"])))
        if dagster.create_time() != noted["started"]:
            return
        left = [dagster, *dagster.children(recursive=True)]
    except (KeyError, psutil.NoSuchProcess):
        return
    say(f"ending Dagster (process {dagster.pid}), which an `e2i up` that was killed left running")
    dagster.terminate()
    _wait_or_kill(left)


def _wait_or_kill(left: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(left, timeout=STOPS_WITHIN)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOPS_WITHIN)


def _free_port() -> int:
    with listen(LOOPBACK, 0) as free:
        return int(free.getsockname()[1])


def listen(
    host: str, port: int, next_step: str = "Stop what listens there, or choose another with --port."
) -> socket.socket:
    """A socket that listens there.

    Raises:
        PortUnavailable: with the reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PortUnavailable(
            f"cannot listen on {host}, port {port}: {error.strerror}.", next_step
        ) from error
