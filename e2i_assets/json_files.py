"""JSON in files and hashes, written so that equal values give equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_json(folder: Path, name: str, value: Any) -> None:
    """Write canonical JSON, so that equal values give equal bytes."""
    (folder / name).write_text(json.dumps(value, indent=1, sort_keys=True))


def read_json(folder: Path, name: str) -> Any:
    """Read what `write_json` wrote."""
    return json.loads((folder / name).read_text())


def json_hash(value: Any, default: Callable[[Any], Any] = str) -> str:
    """Sixteen hex digits of the SHA-256 over canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=default)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
