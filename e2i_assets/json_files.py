"""Values as plain JSON types, and JSON in files and hashes, written so that equal values give equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """A dataclass as plain JSON types: its fields by name, days as ISO texts."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_json(kind: type[T], stored: Any) -> T:
    """Inverse of `to_json`; a field that is not stored has its default.

    Raises:
        pydantic.ValidationError: it is not of that type, or has a field that the type does not have. Its text
            repeats what is stored, so it may not be shown.
    """
    return _adapter(kind).validate_python(stored, extra="forbid")


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


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
