"""Installed from a wheel: everything comes along, and `e2i init` is where a user starts."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2i_assets_tests.conftest import ROOT, WHOLE_CONFIG
from e2i_assets_tests.e2e.installed import Installed, build_wheel, install
from e2i_assets_tests.unit.test_code_version import code_versions


def test_the_wheel_has_every_file_of_the_package_and_the_same_code_versions(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        wheel.extractall(tmp_path / "unpacked")
    assert code_versions(tmp_path / "unpacked") == code_versions(ROOT)
    assert packed == {
        *(f"e2i_assets/{name}" for name in files(ROOT / "e2i_assets")),
        *(f"e2i_assets/shipped/deploy/{name}" for name in files(ROOT / "deploy")),
        *(f"e2i_assets/shipped/config/{name}" for name in files(WHOLE_CONFIG)),
        "e2i_assets/shipped/workspace.yaml",
    }


def files(folder: Path) -> Iterator[str]:
    """Files below a folder, without compiled ones and without what only links to another place."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.mark.parametrize("command", ["demo", "up", "data status"])
def test_a_folder_without_configuration_is_told_where_to_get_one(installed: Installed, command: str) -> None:
    output = installed.e2i(*command.split(), expect=2)
    assert output.startswith(f"error: {installed.cwd} has no configuration (config/).")
    assert output.endswith("e2i init FOLDER\n")
    assert list(installed.cwd.iterdir()) == []


def test_init_writes_what_comes_along_and_never_over_what_is_there(installed: Installed) -> None:
    output = installed.e2i("init", "brand teams")
    assert "Next:\n  cd 'brand teams'\n  e2i demo" in output
    made = installed.cwd / "brand teams"
    assert set(files(made)) == {
        "workspace.yaml",
        ".gitignore",
        *(f"config/{name}" for name in files(WHOLE_CONFIG)),
    }
    for name in files(WHOLE_CONFIG):
        assert (made / "config" / name).read_bytes() == (WHOLE_CONFIG / name).read_bytes()
    assert ".e2i/" in (made / ".gitignore").read_text().splitlines()
    (made / "config" / "quality.yaml").write_text("changed: by me")
    (made / "workspace.yaml").unlink()
    assert f"{Path('brand teams', 'config')}: there already" in installed.e2i("init", "brand teams", expect=2)
    assert (made / "config" / "quality.yaml").read_text() == "changed: by me"
    assert not (made / "workspace.yaml").exists()


def test_init_keeps_a_gitignore_and_says_what_to_add(installed: Installed) -> None:
    (installed.cwd / "repository").mkdir()
    (installed.cwd / "repository" / ".gitignore").write_text("build/\n")
    assert "add .e2i/ to repository/.gitignore" in installed.e2i("init", "repository")
    assert (installed.cwd / "repository" / ".gitignore").read_text() == "build/\n"
