"""What commands share: a Dagster instance that leaves the terminal to the progress display."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from e2i_assets.cli.instance import dagster_instance


def test_a_run_of_a_command_keeps_its_own_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured as in Dagit, the display stood still until the run was over."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dagster_instance() as instance:
        before, children = os.fstat(2), psutil.Process().children()
        with instance.compute_log_manager.capture_logs(["run", "compute_logs", "step"]):
            assert os.path.samestat(os.fstat(2), before)
            assert psutil.Process().children() == children
