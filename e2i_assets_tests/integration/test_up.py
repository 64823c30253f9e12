"""`e2i up`: one for a home, and nothing left behind by one that was killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from e2i_assets import settings
from e2i_assets.cli import up
from e2i_assets.cli.up import AlreadyUp, DagsterEnded, _alone, _remember, end_session, ended
from e2i_assets.settings import Settings, SettingsError
from e2i_assets_tests.conftest import ROOT

HOLD = "import sys; from fasteners import InterProcessLock; lock = InterProcessLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
TREE = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()"


def python(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def test_a_home_is_served_once(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"url": "http://127.0.0.1:3000"}))
    with python(HOLD, str(tmp_path / "up.lock")) as other:
        first_line(other)
        with (
            pytest.raises(AlreadyUp, match=r"served already, at http://127\.0\.0\.1:3000") as error,
            _alone(tmp_path, ""),
        ):
            pass
        assert str(tmp_path) in str(error.value)
        other.communicate(b"\n")
    with _alone(tmp_path, "http://127.0.0.1:3001") as note:
        assert json.loads(note.read_text()) == {"url": "http://127.0.0.1:3001"}
    assert not note.exists()


def test_what_a_killed_one_left_running_is_ended_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "STOPS_WITHIN", 1.0)  # the child does not end by itself
    note = tmp_path / "up.json"
    with python(TREE) as left:
        child = psutil.Process(int(first_line(left)))
        _remember(note, left)
        started = json.loads(note.read_text())
        (part,) = started["parts"].values()
        later = {"dagit": {**part, "started": part["started"] - 1}}
        note.write_text(json.dumps({**started, "parts": later}))
        with _alone(tmp_path, ""):
            assert left.poll() is None  # that number belongs to another process by now
        note.write_text(json.dumps(started))
        with _alone(tmp_path, ""):
            assert left.wait(5) is not None
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_dagster_that_ends_without_being_stopped_is_told_and_its_children_end() -> None:
    command = [sys.executable, "-c", TREE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as dagster:
        child = psutil.Process(int(first_line(dagster)))
        dagster.kill()
        text = ended(dagster.wait())
    assert child.is_running()
    end_session(dagster.pid)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert "was killed (SIGKILL)" in text
    assert "ended by itself, with 3" in ended(3)
    assert DagsterEnded(text).exit_code == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_dagster_ends_with_a_killed_parent() -> None:
    code = (
        "import subprocess, sys; from e2i_assets.cli.up import _end_with_parent\n"
        "print(subprocess.Popen(['sleep', '60'], preexec_fn=_end_with_parent).pid, flush=True); input()"
    )
    with python(code) as parent:
        child = psutil.Process(int(first_line(parent)))
        parent.kill()
        child.wait(10)


def test_the_home_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("E2I_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Settings().home_dir == ROOT / ".e2i"
    (tmp_path / ".e2i").mkdir()
    assert Settings().home_dir == tmp_path / ".e2i"
    assert Settings(home=Path("other")).home_dir == tmp_path / "other"


def test_the_configuration_is_that_of_the_folder_or_of_the_clone_and_never_of_a_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("E2I_HOME", "E2I_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert Settings().config_dir == ROOT / "config"
    assert Settings().workspace == ROOT / "workspace.yaml"
    with pytest.raises(SettingsError, match=r"^E2I_CONFIG: .*/nowhere is no folder\.\n.*e2i init"):
        _ = Settings(config=Path("nowhere")).config_dir
    # Another package's folder named `config` may lie beside an installed one.
    beside = tmp_path / "site-packages" / "config"
    shutil.copytree(ROOT / "config", beside)
    monkeypatch.setattr(settings, "shipped", lambda name: beside.parent / "e2i_assets" / "shipped" / name)
    with pytest.raises(SettingsError, match=r"(?s)has no configuration \(config/\)\..*e2i init FOLDER$"):
        _ = Settings().config_dir
    assert Settings().home_dir == tmp_path / ".e2i"
    (tmp_path / "config").mkdir()
    assert Settings().config_dir == tmp_path / "config"
    assert Settings().workspace == settings.shipped("workspace.yaml")
    (tmp_path / "workspace.yaml").write_text("load_from: []")
    assert Settings().workspace == tmp_path / "workspace.yaml"
