"""Versions on object storage, which can neither rename nor replace several objects at once.

The files of a version are put under a name of their own, the hash of all of them, and looked for. The list
of them, `files.json`, which says that name, is put last and only where there is none. So a version is there
as a whole or not at all, and of two machines that write the same one at once the second one's objects are
removed again. One that was copied here as a folder has no such name: its files lie beside its list.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from e2i_assets.resources.version_files import DIGITS, FILES
from e2i_assets.storage.filesystems import StoreUnavailable

BELOW = "below"
"""Key of a list: the name under which the files are."""


def is_there(filesystem: Any, target: str) -> bool:
    """Whether there is a list, which is put when all that it names is there."""
    return bool(filesystem.exists(f"{target}/{FILES}"))


def put(filesystem: Any, folder: Path, target: str, *, anew: bool) -> None:
    """Store the files of a folder as a version.

    Args:
        anew: whether it takes the place of what is there, which is damaged.

    Raises:
        StoreUnavailable: the storage does not answer, or does not have what was put.
    """
    text = (folder / FILES).read_bytes()
    below = hashlib.sha256(text).hexdigest()[:DIGITS]
    listed = json.dumps({**json.loads(text), BELOW: below}, indent=1, sort_keys=True).encode()
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names.remove(FILES)
    # One by one named: for a folder some make the bucket that it is to be in.
    filesystem.put([str(folder / name) for name in names], [f"{target}/{below}/{name}" for name in names])
    if wrong := _wrong(filesystem, f"{target}/{below}", json.loads(text)["files"]):
        raise StoreUnavailable(f"{target}: {', '.join(wrong)} is not there as it was put", "Run it again.")
    try:
        filesystem.pipe_file(f"{target}/{FILES}", listed, mode="overwrite" if anew else "create")
    except FileExistsError:
        if _list(filesystem, target).get(BELOW) != below:
            filesystem.rm([f"{target}/{below}/{name}" for name in names])


def get(filesystem: Any, target: str, folder: Path) -> None:
    """Bring the files of a version and their list into a folder; what is gone is left out."""
    folder.mkdir(parents=True)
    (folder / FILES).write_bytes(filesystem.cat_file(f"{target}/{FILES}"))
    below = place_of(filesystem, target)
    present = sorted(filesystem.find(below))
    names = [path.removeprefix(f"{below}/") for path in present]
    wanted = [(path, str(folder / name)) for path, name in zip(present, names, strict=True) if name != FILES]
    if wanted:
        filesystem.get(*map(list, zip(*wanted, strict=True)))


def place_of(filesystem: Any, target: str) -> str:
    """Where the files of a version are."""
    below = _list(filesystem, target).get(BELOW)
    return f"{target}/{below}" if below else target


def damage(filesystem: Any, target: str) -> str | None:
    """What is wrong with names and sizes of a version's files, none of which is fetched; None else."""
    listed = _list(filesystem, target)
    if not isinstance(listed.get("files"), dict):
        return f"{target}/{FILES} is missing or damaged"
    wrong = _wrong(filesystem, place_of(filesystem, target), listed["files"])
    return f"{target}: {', '.join(wrong)} is not what was written" if wrong else None


def _list(filesystem: Any, target: str) -> dict[str, Any]:
    try:
        return dict(json.loads(filesystem.cat_file(f"{target}/{FILES}")))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def _wrong(filesystem: Any, below: str, files: dict[str, list[Any]]) -> list[str]:
    found = filesystem.find(below, detail=True).items()
    sizes = {path.removeprefix(f"{below}/"): facts["size"] for path, facts in found}
    return sorted(name for name, (size, _) in files.items() if sizes.get(name) != size)
