"""The home folder of an installation: closed to others, with the scratch folder of each process below it."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from functools import cache
from pathlib import Path

import psutil

SCRATCH = "scratch"


@cache
def shared_temporary() -> Path:
    """The temporary folder that the machine's processes share; known before a home takes its place here."""
    return Path(tempfile.gettempdir())


@cache
def open_home(home: Path) -> None:
    """Make the home, and let this process keep what it writes to itself, whatever the umask was.

    Files of this process and its children are made 0600, folders 0700; temporary ones lie below the home, and
    those of processes of this machine that were killed are removed.
    """
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    close(home)
    _use_scratch(home / SCRATCH)


def close(folder: Path, *, passable: bool = False) -> None:
    """Leave a folder of ours to us; where it is `passable`, our group may go through it, not look."""
    facts = folder.stat()
    if facts.st_uid != os.geteuid():
        return
    mode = facts.st_mode & 0o777
    # Closed once more by another process of root, it would shut out the server, which runs already, or is
    # just being started: for that its library opens the folder to everybody.
    if passable or (os.geteuid() == 0 and mode in (0o710, 0o755)):
        os.chown(folder, -1, os.getegid())
        folder.chmod(0o710)
    elif mode != 0o700:
        folder.chmod(0o700)


def _use_scratch(root: Path) -> None:
    shared_temporary()
    root.mkdir(exist_ok=True)
    own = root / _name(psutil.Process())
    for folder in root.iterdir():
        if folder != own and _left_behind(folder.name):
            shutil.rmtree(folder, ignore_errors=True)  # another process may remove it as well
    if not own.exists():
        own.mkdir()
        atexit.register(shutil.rmtree, own, ignore_errors=True)
    tempfile.tempdir = str(own)


def _name(process: psutil.Process) -> str:
    """A process number comes again; together with the start it does not."""
    return f"{socket.gethostname()}-{process.pid}-{int(start_of(process) * 1000)}"


def start_of(process: psutil.Process) -> float:
    """When a process was started, in seconds, the same for as long as it runs: Linux counts from its own
    start to the process's, and what the clock says of that changes with the clock.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    return round(process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0), 2)


def _left_behind(name: str) -> bool:
    """Whether a scratch folder is of a process of this machine that is gone."""
    host, pid, _ = (*name.rsplit("-", 2), "", "")[:3]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        return _name(psutil.Process(int(pid))) != name
    except psutil.NoSuchProcess:
        return True
