"""The files of one version of an artifact: which they are, whether they are still what was written."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2i_assets import file_hashes
from e2i_assets.file_hashes import DIGITS, File, hash_of

FILES = "files.json"
"""File of a version that lists the others, with their hashes, and what the artifact calls its content."""

SYNCS = 8
"""Files that the disk is asked to write at the same time."""


def hashes(folder: Path) -> dict[str, File]:
    """Each file of a version by its path, the list of them aside."""
    return {path: file for path, file in file_hashes.hashes(folder).items() if path != FILES}


def content_hash(folder: Path) -> str:
    """Sixteen hex digits of the SHA-256 over the names and bytes of a folder's files."""
    return hash_of(hashes(folder))


def list_files(folder: Path, identity: str | None) -> None:
    """Write the list of a version's files; `identity` is what the artifact calls its content, if it does."""
    listed = {"identity": identity, "files": hashes(folder)}
    (folder / FILES).write_text(json.dumps(listed, indent=1, sort_keys=True))


def damage(folder: Path, version: str, *, identified: bool | None = None) -> str | None:
    """What is wrong with a version, naming the file; None when nothing is.

    Args:
        identified: whether the artifact names its content itself; if that is not known, the list is believed.
    """
    present = hashes(folder)
    if not (folder / FILES).exists():
        # A release before there were lists named every version by its files.
        return (
            None if hash_of(present) == version else f"{FILES} is missing, or other files are not as written"
        )
    try:
        listed = json.loads((folder / FILES).read_text())
        identity, files = listed["identity"], {n: File(*file) for n, file in listed["files"].items()}
    except (OSError, ValueError, TypeError, KeyError):
        return f"{FILES} is damaged"
    wrong = sorted(n for n in files.keys() | present.keys() if files.get(n) != present.get(n))
    if wrong:
        return f"{', '.join(wrong)} {'are' if len(wrong) > 1 else 'is'} missing or not as written"
    named = identity[:DIGITS] if identity and identified is not False else hash_of(present)
    return None if named == version else f"{FILES} is of another version"


def to_disk(path: Path, *, whole: bool = True) -> None:
    """Have the system write a file or folder to the disk; `whole` with all that is in it.

    What is in a folder is asked for together, as the disk then writes it together: one file after the other
    waits for the disk once each. When this returns, all of it is there.
    """
    if whole and path.is_dir():
        with ThreadPoolExecutor(SYNCS) as pool:
            list(pool.map(_sync, path.rglob("*")))
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
