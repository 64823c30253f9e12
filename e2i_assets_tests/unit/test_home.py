"""The home folder is closed to others, and scratch folders do not outlive their process for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2i_assets.home import SCRATCH, close, open_home, shared_temporary
from e2i_assets.resources.store import ArtifactStore
from e2i_assets_tests.unit.test_store import Files


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a home, in a process whose umask keeps nothing to itself."""
    before, temporary = os.umask(0), tempfile.tempdir
    (tmp_path / "home").mkdir()
    try:
        yield tmp_path / "home"
    finally:
        os.umask(before)
        tempfile.tempdir = temporary
        open_home.cache_clear()


def modes(home: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in [home, *home.rglob("*")]}


def test_all_that_is_kept_is_closed_to_others_whatever_the_umask(home: Path) -> None:
    open_home(home)
    store = ArtifactStore(str(home / "artifacts"))
    store.write("raw/events", "p", Files("x"))
    with tempfile.NamedTemporaryFile(delete=False) as scratch:
        scratch.write(b"1")
    assert modes(home) == {0o700, 0o600}
    assert Path(scratch.name).parent.parent == home / SCRATCH


def test_the_machines_temporary_folder_is_not_that_of_a_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of several homes meet there, whichever opened its home or loaded a module first."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    shared_temporary.cache_clear()
    try:
        open_home(home)
        assert Path(tempfile.gettempdir()).parent == home / SCRATCH
        assert shared_temporary() == tmp_path
    finally:
        shared_temporary.cache_clear()


def test_the_group_may_pass_to_the_server_and_not_look(home: Path) -> None:
    close(home, passable=True)
    assert modes(home) == {0o710}


@pytest.mark.skipif(os.geteuid() != 0, reason="only of root the server is another user")
@pytest.mark.parametrize("mode", [0o710, 0o755])
def test_a_second_process_of_root_does_not_shut_the_server_out(home: Path, mode: int) -> None:
    """While a server starts its library opens the home to everybody."""
    home.chmod(mode)
    close(home)
    assert modes(home) == {0o710}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_somebody_else_is_left_as_it_is(home: Path) -> None:
    os.chown(home, 65534, 65534)
    close(home)
    assert modes(home) == {0o777}


def test_scratch_of_a_killed_process_goes_and_of_a_living_one_stays(home: Path) -> None:
    """The number of the killed one may have come again: with another start it counts as gone."""
    waits = f"from e2i_assets.home import open_home; from pathlib import Path; import sys; \
open_home(Path({str(home)!r})); print('ready', flush=True); sys.stdin.read()"
    processes = [
        subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
        killed, living = processes
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (again,) = (home / SCRATCH).glob(f"*-{living.pid}-*")
        reborn = again.with_name(f"{again.name}1")
        elsewhere = home / SCRATCH / f"another-host-{killed.pid}-1"
        reborn.mkdir()
        elsewhere.mkdir()
        open_home(home)
        assert {*(home / SCRATCH).iterdir()} == {again, elsewhere, Path(tempfile.gettempdir())}
        living.communicate()
        assert not again.exists()
    finally:
        for process in processes:
            process.kill()
