"""What a folder holds, by the SHA-256 of each file and of all.

A copy of this file travels inside every bundle, whose files are compared with it before they are read: it
knows no other module of the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

DIGITS = 16
"""Hex digits that tell one content from another."""

COMPILED = "__pycache__"
"""Folder that Python keeps compiled modules in."""


class File(NamedTuple):
    """Bytes, and SHA-256 in hex, of one file."""

    size: int
    sha256: str


def hashes(folder: Path) -> dict[str, File]:
    """Each file of a folder by its path, in the order of the paths.

    Without what Python compiles beside sources that it runs: a bundle that was served holds what it held.
    Nothing is copied from there, and a release is rid of it before it runs.
    """
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if COMPILED in path.relative_to(folder).parts:
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[path.relative_to(folder).as_posix()] = File(path.stat().st_size, digest)
    return files


def hash_of(files: Mapping[str, File]) -> str:
    """Sixteen hex digits of the SHA-256 over names and bytes of the files, in their order."""
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(name.encode() + b"\0" + bytes.fromhex(file.sha256))
    return digest.hexdigest()[:DIGITS]
