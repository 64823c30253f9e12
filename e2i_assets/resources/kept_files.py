"""Everything of an installation that takes room and may go: versions, sealed splits, bundles, releases,
MLflow's files, and what runs printed.

What is removed is first renamed to what no reader takes for whole; a removal that was killed leaves such a
name, which the next one clears away. Object storage cannot rename: there the list of a version's files goes
first, without which it is none.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from e2i_assets.resources import object_versions
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.resources.vault import SEALED, SealedFiles
from e2i_assets.resources.version_files import DIGITS, FILES
from e2i_assets.settings import Settings
from e2i_assets.storage.bundles import archives
from e2i_assets.storage.filesystems import open_filesystem

Kind = Literal["version", "sealed split", "bundle", "release", "MLflow files", "run log", "left over"]

_VERSION = re.compile(rf"(?P<asset>[^/]+(?:/[^/]+)?)/(?P<partition>[^/]+)/(?P<version>[0-9a-f]{{{DIGITS}}})")
_LEFT_OVER = re.compile(r"([0-9a-f]{16}|current\.json|.+\.sealed)\.[0-9a-f]{32}(\.removed)?|.+\.removed")


@dataclass(frozen=True)
class Kept:
    """Something that is kept, and could go.

    Attributes:
        name: of a version its asset and version, of others what people call it.
        path: on its file system.
        size: bytes; of a version only once it is asked for (`KeptFiles.sized`).
    """

    kind: Kind
    partition: str
    name: str
    path: str
    size: int
    modified: dt.datetime | None = None

    @property
    def version(self) -> tuple[str, str]:
        """Asset and version."""
        asset, _, version = self.name.rpartition("/")
        return asset, version


class KeptFiles:
    """What an installation keeps of its partitions."""

    def __init__(self, here: Settings) -> None:
        self._here = here
        self._store, self._root = open_filesystem(here.artifacts_url)
        self._sealed = SealedFiles(here)

    def versions(self, partition: str) -> Iterator[Kept]:
        """Every stored version of every asset, published or not."""
        for path in self._folders(partition):
            named = _VERSION.fullmatch(path.removeprefix(f"{self._root}/"))
            if named and not self._is_half(path):
                name = f"{named['asset']}/{named['version']}"
                yield Kept("version", partition, name, path, 0, self._modified(path))

    def sized(self, kept: Kept) -> Kept:
        """A version with its size."""
        return replace(kept, size=self._size(kept.path))

    def left_over(self, partition: str) -> Iterator[Kept]:
        """What writes and removals that were killed left; to be asked with the partition's turn."""
        of_vault = self._sealed.of(partition)
        for bundle in sorted(self._removed_bundles(partition).glob("*.removed")):
            name = "/".join(bundle.parts[-3:])
            yield Kept("left over", partition, name, str(bundle), local_size(bundle))
        for path in [*self._folders(partition), *of_vault]:
            half = path not in of_vault and self._is_half(path)
            if half or _LEFT_OVER.fullmatch(path.rsplit("/", 1)[1]):
                size = of_vault[path] if path in of_vault else self._size(path)
                yield Kept("left over", partition, "/".join(path.split("/")[-3:]), path, size)

    def sealed_splits(self, partition: str) -> Iterator[Kept]:
        """Sealed splits by `<split>-<seal>`."""
        for path, size in self._sealed.of(partition).items():
            if path.endswith(SEALED):
                name = path.rsplit("/", 1)[1].removesuffix(SEALED)
                yield Kept("sealed split", partition, name, path, size)

    def bundles(self, partition: str, name: str) -> Iterator[Kept]:
        """Bundles of a model by their tags."""
        folder = self._bentos / name
        for bundle in sorted(folder.iterdir()) if folder.is_dir() else ():
            if bundle.is_dir():
                yield Kept("bundle", partition, f"{name}:{bundle.name}", str(bundle), local_size(bundle))
        for path, (tag, size) in archives(self._here, name).items():
            yield Kept("bundle", partition, tag, path, size)

    def releases(self, service: str) -> Iterator[Kept]:
        """Releases of a service, which stand in the place of a partition."""
        yield from (replace(kept, kind="release") for kept in self.bundles(service, service))

    def mlflow_files(self, partition: str, run_id: str) -> Iterator[Kept]:
        """Files of an MLflow run that lie in our store; a team's server keeps its own."""
        if self._here.mlflow_tracking_uri is not None:
            return
        for address in ExperimentTracking(self._here).folders(run_id):
            _, path = open_filesystem(address)
            if path.startswith(f"{self._root}/mlflow/") and self._store.isdir(path):
                yield Kept("MLflow files", partition, run_id, path, self._size(path))

    def run_logs(self) -> dict[str, Path]:
        """Folders of what runs printed, by run; a run that a command made has none."""
        folder = self._here.dagster_home / "storage"
        return {path.name: path for path in sorted(folder.iterdir())} if folder.is_dir() else {}

    def remove(self, kept: Kept) -> None:
        """Free its room; what is gone already is fine."""
        if kept.kind == "sealed split":
            self._sealed.remove(kept.path)
        elif kept.kind in ("bundle", "release") and kept.path.startswith(str(self._bentos)):
            self._remove_bundle(Path(kept.path), self._removed_bundles(kept.partition))
        elif kept.kind == "run log":
            shutil.rmtree(kept.path)
        elif kept.path.startswith(str(self._here.bento_home)):
            _remove_local(Path(kept.path), Path(kept.path).parent)
        elif self._store.exists(kept.path):
            self._remove_stored(kept.path)

    def _is_half(self, path: str) -> bool:
        """Whether a version on object storage has no list, without which it is none."""
        named = _VERSION.fullmatch(path.removeprefix(f"{self._root}/"))
        is_local = "file" in self._store.protocol
        return named is not None and not is_local and not object_versions.is_there(self._store, path)

    def _remove_stored(self, path: str) -> None:
        if "file" in self._store.protocol:
            _remove_local(Path(path), Path(path).parent)
            return
        if self._store.exists(f"{path}/{FILES}"):
            self._store.rm_file(f"{path}/{FILES}")
        self._store.rm(path, recursive=True)

    def _remove_bundle(self, folder: Path, beside: Path) -> None:
        beside.mkdir(parents=True, exist_ok=True)
        _remove_local(folder, beside)
        latest = folder.parent / "latest"
        if latest.is_file() and latest.read_text(encoding="utf-8").strip() == folder.name:
            others = sorted(
                (one for one in folder.parent.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime
            )
            if others:
                latest.write_text(others[-1].name, encoding="utf-8")
            else:
                latest.unlink()

    @property
    def _bentos(self) -> Path:
        return self._here.bento_home / "bentos"

    def _removed_bundles(self, partition: str) -> Path:
        """Apart from `bentos`, where BentoML would take a name for a bundle's."""
        return self._here.bento_home / "removed" / partition

    def _folders(self, partition: str) -> Iterator[str]:
        for depth in ("*", "*/*"):
            yield from sorted(self._store.glob(f"{self._root}/{depth}/{partition}/*"))

    def _size(self, path: str) -> int:
        return int(self._store.du(path))

    def _modified(self, path: str) -> dt.datetime | None:
        listed = f"{path}/{FILES}"
        return self._store.modified(listed) if self._store.exists(listed) else None


def local_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _remove_local(path: Path, beside: Path) -> None:
    if not path.exists():
        return
    if not path.name.endswith(".removed"):
        path = path.rename(beside / f"{path.name}.{uuid.uuid4().hex}.removed")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
