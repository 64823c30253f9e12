"""`e2i init` writes where it was told to, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2i_assets.cli.init import IGNORE, WORKSPACE, FolderTaken, run_init
from e2i_assets.cli.main import main


@pytest.mark.parametrize("name", [WORKSPACE, IGNORE])
def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path, name: str) -> None:
    paths = tmp_path / "there"
    paths.mkdir()
    (paths / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderTaken, match=name):
        run_init(paths)
    assert [path.name for path in tmp_path.rglob("*")] == ["there", name]


def test_a_folder_without_a_name_is_not_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["e2i", "init", ""])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert not list(tmp_path.iterdir())


def test_the_next_step_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_init(Path("-dash"))
    assert "cd ./-dash\n" in capsys.readouterr().out
