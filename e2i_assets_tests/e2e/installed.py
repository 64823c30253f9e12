"""The platform as a user installs it: a wheel, in an environment of its own, with no clone in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path

from e2i_assets_tests.conftest import ROOT, SHIPPED, shipped_config
from e2i_assets_tests.e2e.bring_your_own import E2I, e2i
from e2i_assets_tests.serve_process import serving_environment

UV = str(Path(E2I).with_name("uv"))
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "workspace.yaml", "deploy", "e2i_assets")


def build_wheel(folder: Path) -> Path:
    """A wheel of these sources; built from a copy, because a build leaves files behind."""
    sources = folder / "sources"
    sources.mkdir()
    shipped_config(sources, sorted(SHIPPED["scopes"]))
    compiled = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, symlinks=True, ignore=compiled)
        else:
            shutil.copy(ROOT / name, sources)
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(sources)], check=True)
    shutil.rmtree(sources)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """A folder of a user's, and the command of the environment that the wheel was installed into.

    Attributes:
        ports: where its services listen.
    """

    program: str
    cwd: Path
    ports: dict[str, str] = field(default_factory=serving_environment)

    @property
    def home(self) -> Path:
        """Where everything is kept as long as the user says nothing else."""
        return self.cwd / ".e2i"

    def e2i(self, *arguments: str, expect: int = 0) -> str:
        """Run a command in the folder; nothing of these tests' environment is handed on."""
        ours = ("E2I_", "DAGSTER_", "BENTOML_", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= self.ports
        return e2i(*arguments, env=env, expect=expect, program=self.program, cwd=self.cwd)


def install(folder: Path) -> Installed:
    """Build the wheel and install it into a fresh environment, which borrows the libraries of this one.

    A folder that is added to the path by a `.pth` file is searched, but its own `.pth` files are not read: the
    editable installation that these tests run from is out of reach.
    """
    folder.mkdir(exist_ok=True)
    wheel = build_wheel(folder)
    venv.create(folder / "environment", symlinks=True)
    python = folder / "environment" / "bin" / "python"
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel)], check=True
    )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "environment" / "lib" / version / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "Ärzte und Käufer").mkdir()
    return Installed(str(python.with_name("e2i")), folder / "Ärzte und Käufer")
