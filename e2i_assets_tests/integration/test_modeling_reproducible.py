from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from e2i_assets.modeling.problems.binary import Binary
from e2i_assets_tests.unit.modeling_frames import trained

CODE = """
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets_tests.unit.modeling_frames import trained
print(*(trained(name).fingerprint for name in Binary.algorithms))
"""


def test_a_fresh_process_trains_the_same_bytes() -> None:
    """Another hash seed too: the order of a set must not reach a pickle."""
    out = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split() == [trained(name).fingerprint for name in Binary.algorithms]
