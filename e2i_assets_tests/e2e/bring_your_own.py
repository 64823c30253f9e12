"""The README's "bring your own data", done as it says: files copied, nothing coded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lifelines

from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.serve_process import serving_environment

PARTITION = "tamoxifen_breast_cancer"
EXAMPLE = ROOT / "examples" / "gbsg2"
SOURCE = Path(lifelines.__file__).parent / "datasets" / "gbsg2.csv"
E2I = str(Path(sys.executable).with_name("e2i"))


def environment(home: Path, config: Path) -> dict[str, str]:
    """Environment of an installation of its own, with its own embedded warehouse."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("E2I_", "DAGSTER_", "BENTOML_"))}
    return {**environment, **serving_environment(), "E2I_HOME": str(home), "E2I_CONFIG": str(config)}


def e2i(
    *arguments: str, env: dict[str, str], expect: int = 0, program: str = E2I, cwd: Path | None = None
) -> str:
    """Run a command and return what it printed; the exit code must be as expected."""
    done = subprocess.run(
        [program, *arguments], env=env, cwd=cwd, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr if expect else done.stdout
