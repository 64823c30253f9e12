"""Bundles where each machine finds them: BentoML's store is a folder of one, archives are beside shared
artifacts.

An archive is BentoML's own kind, which `bentoml import` takes as well, named by the bundle's tag and the hash
of its files. Where artifacts are in a folder there is none.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from e2i_assets.errors import E2IError
from e2i_assets.file_hashes import hash_of, hashes
from e2i_assets.settings import Settings
from e2i_assets.storage.filesystems import open_filesystem

ARCHIVES = "bentos"
"""Folder of the archives below the root of the artifacts."""
ENDS = ".bento"


class ArchiveDamaged(E2IError, RuntimeError):
    """An archive does not hold the bundle that it is named after."""

    code = "archive_damaged"
    on_data = False


def folder_of(here: Settings, tag: str) -> Path:
    """Where BentoML's store here has a bundle, if it has."""
    return here.bento_home / "bentos" / tag.replace(":", "/")


def keep(here: Settings, tag: str, files_hash: str) -> None:
    """Put a bundle of this machine's store where others find it, if artifacts are shared.

    Raises:
        StoreUnavailable: the object storage does not take it.
    """
    if not here.shares_artifacts:
        return
    filesystem, archive = open_filesystem(_address(here, tag, files_hash))
    if not filesystem.exists(archive):
        with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            packed = shutil.make_archive(f"{scratch}/bundle", "xztar", folder_of(here, tag))
            filesystem.put([packed], [archive])


def is_kept(here: Settings, tag: str, files_hash: str) -> bool:
    """Whether a bundle is in this machine's store, or can be fetched."""
    if folder_of(here, tag).is_dir() or not here.shares_artifacts:
        return folder_of(here, tag).is_dir()
    filesystem, archive = open_filesystem(_address(here, tag, files_hash))
    return bool(filesystem.exists(archive))


def fetch(here: Settings, tag: str, files_hash: str) -> Path:
    """Folder of a bundle in this machine's store; one that another machine put there is brought here.

    Where nobody has it the folder is not there.

    Raises:
        ArchiveDamaged: what was fetched does not have the hash.
        StoreUnavailable: the object storage does not answer.
    """
    folder = folder_of(here, tag)
    if folder.is_dir() or not here.shares_artifacts:
        return folder
    filesystem, archive = open_filesystem(_address(here, tag, files_hash))
    if not filesystem.exists(archive):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = here.bento_home / "tmp"
    staging.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="e2i-", dir=staging) as scratch:
        filesystem.get([archive], [f"{scratch}/bundle"])
        unpacked = Path(scratch) / "unpacked"
        try:
            shutil.unpack_archive(f"{scratch}/bundle", unpacked, "xztar", filter="data")
            whole = hash_of(hashes(unpacked)) == files_hash
        except (OSError, EOFError, ValueError, shutil.ReadError):
            whole = False
        if not whole:
            raise ArchiveDamaged(
                f"{_address(here, tag, files_hash)} does not hold the bundle that was put there.",
                "Materialize bento_bundle of its scope with --force, which puts it there anew.",
            )
        try:
            unpacked.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster
                raise
    return folder


def archives(here: Settings, name: str) -> dict[str, tuple[str, int]]:
    """Path of each archive of a model to its bundle's tag and its bytes; empty where nothing is shared."""
    if not here.shares_artifacts:
        return {}
    filesystem, root = open_filesystem(f"{here.artifacts_url}/{ARCHIVES}/{name}")
    found = filesystem.find(root, detail=True).items()
    versions = {path: path.rsplit("/", 1)[1].rpartition("-")[0] for path, _ in found}
    return {path: (f"{name}:{versions[path]}", facts["size"]) for path, facts in found}


def _address(here: Settings, tag: str, files_hash: str) -> str:
    return f"{here.artifacts_url}/{ARCHIVES}/{tag.replace(':', '/')}-{files_hash}{ENDS}"
