"""The artifact store: immutable versions named by their content, and a pointer to the published one.

A version is a folder of files. It is written under a temporary name, hashed and renamed, so a reader never
meets half a version, and the same content is stored once. Publishing moves the pointer; nothing is deleted.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import fsspec
from pydantic import TypeAdapter


@runtime_checkable
class Folder(Protocol):
    """An artifact that keeps itself as a folder of files."""

    def save(self, folder: Path) -> None:
        """Write every file; the same value must give the same bytes."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


Artifact = Any
"""A `Folder`, or a dataclass of plain types, which is kept as record.json (and as report.html where it has
`to_html`)."""
A = TypeVar("A")


class ArtifactRefused(RuntimeError):
    """The store does not hand an artifact out; the message says which and what to do."""


@dataclass(frozen=True)
class Published:
    """The published version of one asset and partition.

    Attributes:
        version: hash of the content; Dagster's data version.
        fingerprint: hash of all that the content was made from (code, configuration, input versions).
        gates: each gate that judged this version, and whether it passed.
        attributes: facts about the making that are not content, such as the MLflow run.
        display: Dagster metadata and check results of the publication, serialized.
    """

    asset: str
    partition: str
    version: str
    fingerprint: str
    gates: Mapping[str, bool] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    display: str = ""
    run_id: str = ""


PAGE = re.compile(r"([\w-]+/)+[\w-]+\.html", re.ASCII)


class ArtifactStore:
    """Versions and pointers under one root, local or any fsspec URL."""

    def __init__(self, root: str) -> None:
        self._fs, path = fsspec.core.url_to_fs(root)
        self._root = path.rstrip("/")
        self._is_local = "file" in self._fs.protocol

    def write(self, asset: str, partition: str, artifact: Artifact) -> str:
        """Store an artifact and return its version; does not publish it.

        Raises:
            ArtifactRefused: the store's folder cannot be written.
        """
        with self._writing(), tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            folder = Path(scratch) / "version"
            folder.mkdir()
            _save(artifact, folder)
            version = content_hash(folder)
            self._upload(folder, self._version(asset, partition, version))
        return version

    def rehearse(self) -> None:
        """Fail where nothing could be stored, and leave nothing behind.

        Raises:
            ArtifactRefused: the store's folder cannot be written.
        """
        probe = f"{self._root}/rehearsal.{uuid.uuid4().hex}"
        with self._writing():
            self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(probe, b"")
            self._fs.rm_file(probe)

    def read(self, asset: str, partition: str, version: str, kind: type[A]) -> A:
        """Load one version.

        Raises:
            ArtifactRefused: there is no such version, or it is not what was written.
        """
        source = self._version(asset, partition, version)
        if not self._fs.exists(source):
            raise ArtifactRefused(f"{asset} [{partition}] has no version {version} in {self._root}")
        with self._local(source) as folder:
            if content_hash(folder) != version:
                raise ArtifactRefused(
                    f"{asset} [{partition}] version {version} in {self._root} was changed after it was "
                    "judged. Move it away and materialize the asset with --force."
                )
            return _load(kind, folder)

    def publish(self, published: Published) -> None:
        """Make a version the current one.

        Raises:
            ArtifactRefused: the store's folder cannot be written; the version before stays current.
        """
        pointer = self._pointer(published.asset, published.partition)
        with self._writing(), self._renamed(pointer) as temporary, self._fs.open(temporary, "w") as file:
            json.dump(asdict(published), file, indent=1, sort_keys=True)

    def current(self, asset: str, partition: str) -> Published | None:
        """The published version, or None when nothing was ever published."""
        pointer = self._pointer(asset, partition)
        if not self._fs.exists(pointer):
            return None
        with self._fs.open(pointer, "r") as file:
            return Published(**json.load(file))

    def locate(self, asset: str, partition: str, version: str) -> str:
        """Address of a version, for people."""
        return self._fs.unstrip_protocol(self._version(asset, partition, version))

    def page(self, path: str) -> bytes | None:
        """An HTML page of a version, by its path below the root; None for anything else."""
        if not PAGE.fullmatch(path) or not self._fs.exists(f"{self._root}/{path}"):
            return None
        return bytes(self._fs.cat_file(f"{self._root}/{path}"))

    def _version(self, asset: str, partition: str, version: str) -> str:
        return f"{self._root}/{asset}/{partition}/{version}"

    def _pointer(self, asset: str, partition: str) -> str:
        return f"{self._root}/{asset}/{partition}/current.json"

    def _upload(self, folder: Path, target: str) -> None:
        if not self._is_local:
            # Objects cannot be renamed together; the same content goes to the same names, and is whole before
            # anything points to it.
            self._fs.put(f"{folder}/", f"{target}/", recursive=True)
            return
        if self._fs.exists(target):
            return
        try:
            with self._renamed(target) as temporary:
                self._fs.put(str(folder), temporary, recursive=True)
        except OSError:
            # Another process may have stored the same content meanwhile.
            if not self._fs.exists(target):
                raise

    @contextmanager
    def _renamed(self, target: str) -> Iterator[str]:
        """A temporary name that becomes the target, or goes with what was written to it."""
        temporary = f"{target}.{uuid.uuid4().hex}"
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        try:
            yield temporary
            if self._is_local:
                Path(temporary).rename(target)
            else:
                self._fs.mv(temporary, target)
        except BaseException:
            if self._fs.exists(temporary):
                self._fs.rm(temporary, recursive=True)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactRefused(
                f"cannot write to the artifact folder {self._root}: {error.strerror or error}. Give write "
                "permission and room, or set E2I_ARTIFACTS to another place."
            ) from error

    @contextmanager
    def _local(self, source: str) -> Iterator[Path]:
        if self._is_local:
            yield Path(source)
            return
        scratch = Path(tempfile.mkdtemp(prefix="e2i-"))
        try:
            self._fs.get(source, str(scratch / "version"), recursive=True)
            yield scratch / "version"
        finally:
            shutil.rmtree(scratch)


def _save(artifact: Artifact, folder: Path) -> None:
    if isinstance(artifact, Folder):
        artifact.save(folder)
        return
    write_json(folder, "record.json", TypeAdapter(type(artifact)).dump_python(artifact, mode="json"))
    if hasattr(artifact, "to_html"):
        (folder / "report.html").write_text(artifact.to_html())


def _load(kind: type[A], folder: Path) -> A:
    if issubclass(kind, Folder):
        return kind.load(folder)
    return TypeAdapter(kind).validate_python(read_json(folder, "record.json"))


def write_json(folder: Path, name: str, value: Any) -> None:
    """Write canonical JSON, so that equal values give equal bytes."""
    (folder / name).write_text(json.dumps(value, indent=1, sort_keys=True))


def read_json(folder: Path, name: str) -> Any:
    """Read what `write_json` wrote."""
    return json.loads((folder / name).read_text())


def content_hash(folder: Path) -> str:
    """Sixteen hex digits of the SHA-256 over the names and bytes of a folder's files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def json_hash(value: Any, default: Callable[[Any], Any] = str) -> str:
    """Sixteen hex digits of the SHA-256 over canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=default)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
