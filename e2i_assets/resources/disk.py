"""A full disk: whether that is what an error comes from, which disk it is, and what to do.

The system says "No space left on device" and seldom of which file; libraries and databases wrap it in errors
of their own.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2i_assets.errors import E2IError
from e2i_assets.settings import Settings
from e2i_assets.warehouse.errors import is_of_database

FULL = {errno.ENOSPC, errno.EDQUOT}
SAID = (
    "No space left on device",
    "Disk quota exceeded",
    os.strerror(errno.ENOSPC),
    os.strerror(errno.EDQUOT),
)
DISK_FULL = "53100"
"""SQLSTATE of PostgreSQL."""
LOG_FILE = 16 * 2**20
"""Bytes of a file of PostgreSQL's log: without room for one the server goes down and does not say why."""


AGAIN = "run the same again: what was published or loaded before stays."


class DiskFull(E2IError, RuntimeError):
    """There is no room left; the message names the disk, and what to do."""

    code = "disk_full"
    on_data = False


@contextmanager
def naming_full_disk(settings: Settings) -> Iterator[None]:
    """Turn an error that comes from a full disk into one that names it.

    Raises:
        DiskFull: instead of any such error; others pass.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, DiskFull) and (full := full_disk(error, settings)):
            raise full from error
        raise


def full_disk(error: BaseException, settings: Settings) -> DiskFull | None:
    """What says which disk is full, if that is what an error comes from; None otherwise."""
    chain = list(_chain(error))
    server = settings.home_dir / "postgres"
    of_database = [cause for cause in chain if is_of_database(cause)]
    went_down = of_database and settings.database_url is None and _free(server) < LOG_FILE
    if not went_down and not any(_says_so(cause) for cause in chain):
        return None
    on_server = bool(of_database) and not any(isinstance(cause, OSError) for cause in chain)
    if on_server and settings.database_url is not None:
        return DiskFull(
            "the disk of the PostgreSQL server that E2I_DATABASE_URL names is full.",
            f"Make room there and {AGAIN}",
        )
    named = [Path(str(cause.filename)) for cause in chain if isinstance(cause, OSError) and cause.filename]
    places = (
        [server] if on_server else [path for path in named if _free(path) < LOG_FILE] or _places(settings)
    )
    fullest = min(places, key=_free)
    return DiskFull(
        f"the disk at {_mount(fullest)} is full, or your share of it ({_free(fullest) // 2**20} MB free): "
        f"there was no room for {fullest}.",
        "Make room there, or set E2I_HOME (E2I_ARTIFACTS for artifacts alone) to a place that has some, and "
        f"{AGAIN}",
    )


def _places(settings: Settings) -> list[Path]:
    """Where this process writes."""
    artifacts = [] if "://" in settings.artifacts_url else [Path(settings.artifacts_url)]
    return [settings.home_dir, *artifacts, Path(tempfile.gettempdir())]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _says_so(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    return _state(error) == DISK_FULL or any(text in str(error) for text in SAID)


def _state(error: BaseException) -> str | None:
    """SQLSTATE, wherever the drivers and SQLAlchemy keep it."""
    raised = getattr(error, "orig", None) or error
    return getattr(raised, "sqlstate", None) or getattr(raised, "pgcode", None)


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _free(path: Path) -> int:
    """Bytes that a user may still write; none where the disk has no room for another file's entry."""
    facts = os.statvfs(_existing(path))
    return 0 if facts.f_files and not facts.f_favail else facts.f_bavail * facts.f_frsize


def _mount(path: Path) -> Path:
    path = _existing(path).resolve()
    return next(folder for folder in (path, *path.parents) if folder.is_mount())
