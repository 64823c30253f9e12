"""A Bento with the service, the models of a release, and the list of their files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from e2i_assets import file_hashes, observability
from e2i_assets.file_hashes import File
from e2i_assets.modeling.explanation import contributions
from e2i_assets.modeling.selection import one_row
from e2i_assets.serving import store
from e2i_assets.serving.errors import BundleError
from e2i_assets.serving.server.release import RELEASE

MODELS, SOURCES = "models", "src/"
"""Folder of the models beside the service, and where both lie in a Bento."""
_SERVER = Path(__file__).with_name("server")
_CARRIED = {
    "e2i_assets.serving.server": "server",
    "e2i_assets.observability": "observability",
    "e2i_assets.modeling.selection.one_row": "one_row",
    "e2i_assets.modeling.explanation.contributions": "contributions",
    "e2i_assets.file_hashes": "file_hashes",
}
"""Our name of what travels along to its name there."""


@cache
def service_files() -> Mapping[str, str]:
    """Path in the Bento to the source there: all that answers requests, under names of its own."""
    files = {"service.py": _SERVER / "service.py"}
    files |= {f"{_CARRIED[one.__name__]}.py": Path(str(one.__file__)) for one in (contributions, file_hashes)}
    files |= {f"server/{part.name}": part for part in sorted(_SERVER.glob("*.py"))}
    for package in (observability, one_row):
        folder = Path(str(package.__file__)).parent
        files |= {f"{_CARRIED[package.__name__]}/{part.name}": part for part in sorted(folder.glob("*.py"))}
    del files["server/service.py"]
    return {path: _renamed(source.read_text(encoding="utf-8")) for path, source in files.items()}


def _renamed(source: str) -> str:
    for ours, theirs in _CARRIED.items():
        source = source.replace(ours, theirs)
    return source


def member(
    *, model_name: str, version: str, bento_tag: str, stage: str, role: str, files_hash: str | None,
    folder: str, source: str, files: Mapping[str, File],
) -> dict[str, Any]:  # fmt: skip
    """A member of `release.json`.

    Args:
        files_hash: what the registry keeps; None of a bundle that is in none yet.
        folder: of the model, beside the service.
        source: the same in the bundle, as `files` has it.
        files: of the whole bundle, where there is a hash of it; else of the model.
    """
    listed = [[name, *file] for name, file in files.items()]
    return {
        "model_name": model_name, "version": version, "bento_tag": bento_tag, "stage": stage, "role": role,
        "files_hash": files_hash, "folder": folder, "source": source, "files": listed,
    }  # fmt: skip


def pack(
    tag: str,
    content: str,
    service: str,
    fill: Callable[[Path], Iterable[Mapping[str, Any]]],
    *,
    requirements: Sequence[str],
    description: str,
    build_dir: Path | None = None,
) -> Path:
    """Build a Bento into the current store.

    Args:
        tag: `name:version`; as the release that answers tell of.
        content: hash of what it is made from.
        service: name of the service.
        fill: puts the models into the folder that it is given and tells the members.
        requirements: pinned distributions.
        build_dir: folder for the sources of the build, kept; a temporary one otherwise.

    Raises:
        BundleError: what BentoML builds with is missing, or a folder cannot be written.
    """
    # BentoML asks for uv even where nothing is to be locked, and would fetch it with pip.
    if find_spec("uv") is None and shutil.which("uv") is None:
        raise BundleError(f"{tag}: BentoML builds with uv, which is not installed", "Run `pip install uv`.")
    options = {
        "service": "service:PredictionService",
        "description": description,
        "include": [*service_files(), RELEASE, f"{MODELS}/**"],
        "python": {"packages": list(requirements), "lock_packages": False},
    }
    try:
        with (
            nullcontext(build_dir) if build_dir else tempfile.TemporaryDirectory(prefix="e2i-bundle-")
        ) as chosen:
            folder = Path(chosen).resolve()
            for path, source in service_files().items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(source, encoding="utf-8")
            release = {"service": service, "release": tag, "members": list(fill(folder))}
            (folder / RELEASE).write_text(json.dumps(release, indent=1) + "\n", encoding="utf-8")
            return store.build_into_store(tag, content, folder, options)
    except OSError as error:
        raise BundleError(
            f"bundle {tag}: {error.strerror or 'copying failed'} at {error.filename or 'the bundle store'}",
            "Check that the folder is writable and has room.",
        ) from error
