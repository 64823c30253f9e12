"""A full disk is named, whichever library ran into it."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from e2i_assets.cli.output import fail
from e2i_assets.resources import disk
from e2i_assets.resources.disk import DiskFull, full_disk, naming_full_disk
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets.settings import Settings, settings

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def wrapped(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


def of_database(inner: Exception) -> Exception:
    return sa.exc.OperationalError("INSERT INTO t VALUES (secret)", {}, inner)


def here(tmp_path: Path, database: str | None = None, artifacts: str | None = None) -> Settings:
    return Settings(
        home=tmp_path / "home", database_url=SecretStr(database) if database else None, artifacts=artifacts
    )


@pytest.mark.parametrize(
    "error",
    [
        NO_ROOM,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        wrapped(ArtifactRefused("cannot write"), NO_ROOM),
        wrapped(RuntimeError("mlflow: could not log the model"), wrapped(ValueError("x"), NO_ROOM)),
        RuntimeError("build failed: [Errno 28] No space left on device: 'pipeline.joblib'"),
    ],
    ids=["system", "quota", "store", "chain", "a message alone"],
)
def test_the_disk_and_what_to_do_are_named(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several places the one that has least room."""
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    monkeypatch.setattr(disk, "_free", lambda path: 0 if path == artifacts else 2**40)
    message = full_disk(error, here(tmp_path, artifacts=str(artifacts)))
    assert isinstance(message, DiskFull)
    assert f"no room for {artifacts}" in str(message)
    assert "(0 MB free)" in str(message)
    assert "E2I_ARTIFACTS" in message.next_step


def test_the_file_that_the_system_names_counts_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_free", lambda path: 0)
    file = tmp_path / "elsewhere.csv"
    message = full_disk(OSError(errno.ENOSPC, "No space left on device", str(file)), here(tmp_path))
    assert f"no room for {file}" in str(message)


def test_the_disk_of_a_database_is_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = of_database(psycopg.errors.DiskFull("could not extend file"))
    assert f"no room for {tmp_path / 'home' / 'postgres'}" in str(full_disk(full, here(tmp_path)))
    elsewhere = full_disk(full, here(tmp_path, "postgresql://reader:secret@host/e2i"))
    assert "the PostgreSQL server that E2I_DATABASE_URL names is full" in str(elsewhere)
    assert "secret" not in str(elsewhere)
    # A server without room for its log goes down; its clients only see the connection end.
    gone = of_database(psycopg.OperationalError("server closed the connection unexpectedly"))
    assert full_disk(gone, here(tmp_path)) is None
    monkeypatch.setattr(disk, "_free", lambda path: 0)
    assert "no room for" in str(full_disk(gone, here(tmp_path)))


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/x"), ValueError("no space"), KeyError("patient 17")]
)
def test_other_errors_stay_what_they_are(error: Exception, tmp_path: Path) -> None:
    assert full_disk(error, here(tmp_path)) is None
    with pytest.raises(type(error)), naming_full_disk(here(tmp_path)):
        raise error


def test_a_command_names_it_without_a_stack(capsys: pytest.CaptureFixture[str]) -> None:
    fail(NO_ROOM)
    printed = capsys.readouterr().err
    assert printed.startswith("error: the disk at ")
    assert str(settings().home_dir.parent) in printed or "no room for" in printed
    assert "Traceback" not in printed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path) -> None:
    class Large:
        def save(self, folder: Path) -> None:
            (folder / "large").write_bytes(b"x" * 2**20)

        @classmethod
        def load(cls, folder: Path) -> Large:
            return cls()

    store = ArtifactStore(str(small_disk / "artifacts"))
    with (
        pytest.raises(DiskFull, match=f"the disk at {small_disk} is full.*no room for {small_disk}"),
        naming_full_disk(here(tmp_path, artifacts=str(small_disk / "artifacts"))),
    ):
        store.write("a", "p", Large())
    assert not list((small_disk / "artifacts" / "a" / "p").iterdir())
