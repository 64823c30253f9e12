"""Which models a service has: `release.json` beside `service.py`, and how their files are known to be theirs.

Nothing is unpickled before its bytes are compared with what was written down when the model was bundled; of
a registered model the whole list of its bundle's files must give the hash that the registry keeps.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2i_assets.file_hashes import File, hash_of

RELEASE = "release.json"
REGISTERED = "E2I_REGISTERED_HASHES"
"""Variable with a JSON object, model name and version (`name:3`) to the hash that the registry keeps; where
it is set, every model of the release must be in it with the hash that its files have."""


def read_release(folder: Path) -> dict[str, Any]:
    """What `release.json` of a service says."""
    return json.loads((folder / RELEASE).read_text(encoding="utf-8"))


def verified(member: Mapping[str, Any], folder: Path) -> dict[str, bytes]:
    """The files of a member, read once: those bytes are what is used.

    Raises:
        RuntimeError: a file is missing, not what was registered, or nobody knows it. Nothing was unpickled.
    """
    files = {name: File(size, sha256) for name, size, sha256 in member["files"]}
    _require_registered(member, files)
    prefix, here = member["source"], folder / member["folder"]
    listed = {name.removeprefix(prefix): file for name, file in files.items() if name.startswith(prefix)}
    present = {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    content = {name: (here / name).read_bytes() for name in sorted(present & listed.keys())}
    read = {name: File(len(blob), hashlib.sha256(blob).hexdigest()) for name, blob in content.items()}
    wrong = sorted(name for name in present | listed.keys() if read.get(name) != listed.get(name))
    if wrong or not listed:
        _refuse(member, f"{', '.join(wrong) or 'every file'} is missing or not what was bundled")
    return content


def _require_registered(member: Mapping[str, Any], files: Mapping[str, File]) -> None:
    """Of a registered model: that the list of its files is the one that the registry has the hash of."""
    if member["files_hash"] and hash_of(files) != member["files_hash"]:
        _refuse(member, f"the list of its files does not give the hash {member['files_hash']}")
    if (registered := os.environ.get(REGISTERED)) is None:
        return
    if json.loads(registered).get(f"{member['model_name']}:{member['version']}") != member["files_hash"]:
        _refuse(member, "the registry has another hash of it, or none")


def _refuse(member: Mapping[str, Any], rule: str) -> None:
    raise RuntimeError(
        f"{member['model_name']} version {member['version']}: {rule}; it is not loaded. Build the release "
        "again from the registered bundle."
    )
