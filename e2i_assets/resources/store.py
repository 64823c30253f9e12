"""The artifact store: immutable versions named by their content, and a pointer to the published one.

A version is a folder of files. It is written under a temporary name, hashed, brought to the disk and renamed
(on object storage as `object_versions.py` says): a reader never meets half a version, and the same content is
stored once. Publishing moves the pointer; what is there stays, but for a damaged version when the same one is
written again.

A version is named by a hash of its files, or by what the artifact says that its content is where the same
content may have other bytes (a fitted model). `files.json` holds the hash of each file either way. Files that
an artifact class names as SEALED, as patients of sealed splits are in them, are stored encrypted; the version
is the same under any key, named before that.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from e2i_assets.addresses import without_secrets
from e2i_assets.errors import E2IError
from e2i_assets.json_files import from_json, json_hash
from e2i_assets.resources import object_versions
from e2i_assets.resources.artifacts import A, Artifact, Identified, load_artifact, save_artifact, sealed_files
from e2i_assets.resources.pages import PAGE, Page
from e2i_assets.resources.sealing import MAGIC, Sealer, VaultError
from e2i_assets.resources.version_files import DIGITS, FILES, content_hash, damage, list_files, to_disk
from e2i_assets.storage.filesystems import open_filesystem


class ArtifactRefused(E2IError, RuntimeError):
    """The store does not hand an artifact out; the message says which and what to do."""

    code = "artifact_refused"
    on_data = False


class ArtifactLocked(VaultError, ArtifactRefused):
    """The vault's key does not open, or cannot seal, an artifact; `code` is that of the vault's own error."""

    code = "artifact_locked"
    on_data = True


@dataclass(frozen=True)
class Published:
    """The published version of one asset and partition.

    Attributes:
        version: hash of the content; Dagster's data version.
        fingerprint: hash of all that the content was made from (code, configuration, input versions).
        gates: each gate that judged this version, and whether it passed.
        attributes: facts about the making that are not content, such as the MLflow run.
        display: Dagster metadata and check results of the publication, serialized.
        code: version of the code that made it; empty in what a release wrote that did not keep it.
    """

    asset: str
    partition: str
    version: str
    fingerprint: str
    gates: Mapping[str, bool] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    display: str = ""
    run_id: str = ""
    code: str = ""


VERSION = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
CHECK = "check"
"""Key of a pointer: hash of the others."""


class ArtifactStore:
    """Versions and pointers under one root, local or any fsspec URL; without a seal, of what needs none."""

    def __init__(self, root: str, sealer: Sealer | None = None) -> None:
        self._sealer = sealer
        self._fs, self._root = open_filesystem(root)
        self._is_local = "file" in self._fs.protocol

    def write(self, asset: str, partition: str, artifact: Artifact) -> str:
        """Store an artifact and return its version; does not publish it.

        Raises:
            ArtifactRefused: the store's folder cannot be written.
        """
        with self._writing(), tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            folder = Path(scratch) / "version"
            folder.mkdir()
            save_artifact(artifact, folder)
            identity = artifact.identity() if isinstance(artifact, Identified) else None
            version = identity[:DIGITS] if identity else content_hash(folder)
            sealed = sealed_files(type(artifact))
            for name in sealed:
                content = (folder / name).read_bytes()
                with self._keyed(asset, partition):
                    content = self._seal.seal(content, f"{asset}/{partition}/{version}/{name}")
                (folder / name).write_bytes(content)
            list_files(folder, version if sealed else identity)
            self._upload(folder, asset, partition, version, sealed)
        return version

    def rehearse(self) -> None:
        """Fail where nothing could be stored, and leave nothing behind.

        Raises:
            ArtifactRefused: the store's folder cannot be written.
        """
        probe = f"{self._root}/rehearsal.{uuid.uuid4().hex}"
        with self._writing():
            if self._is_local:
                self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(probe, b"")
            self._fs.rm_file(probe)

    def read(self, asset: str, partition: str, version: str, kind: type[A]) -> A:
        """Load one version.

        Raises:
            ArtifactRefused: there is no such version, it is not what was written, or not written as now.
            ArtifactLocked: it is sealed, and not with the key that is here.
        """
        source = self._version(asset, partition, version)
        if not self._is_there(source):
            raise ArtifactRefused(
                f"{asset} [{partition}] has no version {version} in {self._root}.",
                f"Materialize {asset} again.",
            )
        with self._local(source) as stored:
            named = issubclass(kind, Identified) or bool(sealed_files(kind))
            if fault := damage(stored, version, identified=named):
                raise _altered(source, fault, asset, seen=self._is_local)
            with self._opened(stored, asset, partition, version, kind) as folder:
                # The list of hashes may have been altered with the files; the content says what it is.
                if sealed_files(kind) and content_hash(folder) != version:
                    raise _forged(source, asset)
                try:
                    artifact = load_artifact(kind, folder)
                except ValidationError:
                    # Without the error's text, which repeats what is in the record.
                    raise ArtifactRefused(
                        f"{source} was written by another release, in a form that this one cannot read. "
                        f"Materialize {asset} again."
                    ) from None
            content = artifact.identity() if isinstance(artifact, Identified) else version
            if (stored / FILES).exists() and content[:DIGITS] != version:
                raise _forged(source, asset)
            return artifact

    def damage(self, asset: str, partition: str, version: str) -> str | None:
        """What is wrong with a version's files, without reading the artifact; None when nothing is.

        Of a version on object storage names and sizes alone are compared: nothing is fetched.
        """
        source = self._version(asset, partition, version)
        if not self._fs.exists(source):
            return f"{source} is gone"
        if not self._is_local:
            return object_versions.damage(self._fs, source)
        fault = damage(Path(source), version)
        return f"{source}: {fault}" if fault else None

    def publish(self, published: Published) -> None:
        """Make a version the current one.

        Raises:
            ArtifactRefused: the store's folder cannot be written; the version before stays current.
        """
        pointer = self._pointer(published.asset, published.partition)
        content = asdict(published)
        text = json.dumps({**content, CHECK: json_hash(content)}, indent=1, sort_keys=True)
        with self._writing(), self._renamed(pointer) as temporary:
            self._fs.pipe_file(temporary, text.encode())

    def current(self, asset: str, partition: str) -> Published | None:
        """The published version, or None when nothing was ever published.

        Raises:
            ArtifactRefused: the pointer is there and cannot be read.
        """
        pointer = self._pointer(asset, partition)
        try:
            content = json.loads(self._fs.cat_file(pointer))
            check = content.pop(CHECK, None)
            published = from_json(Published, content)
            if (published.asset, published.partition) != (asset, partition):
                reason = f"it is of {published.asset} [{published.partition}]"
            elif check not in (None, json_hash(content)):  # the first release wrote none
                reason = "it was changed"
            else:
                return published
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            reason = type(error).__name__
        raise ArtifactRefused(
            f"{pointer}, which tells the published version of {asset} [{partition}], is damaged ({reason}).",
            "Materialize it with --force, which writes it anew.",
        )

    def versions(self, asset: str, partition: str) -> list[str]:
        """Every version that is stored, whether it was published or not, in the order of their names."""
        named = [name for name in self._names(f"{asset}/{partition}") if VERSION.fullmatch(name)]
        return [name for name in named if self.holds(asset, partition, name)]

    def partitions(self, asset: str) -> list[str]:
        """Every partition of which versions of an asset are stored, also where its cohort file is gone."""
        return [name for name in self._names(asset) if self.versions(asset, name)]

    def _names(self, path: str) -> list[str]:
        """What is in a folder below the root, in the order of the names; nothing where there is none."""
        folder = f"{self._root}/{path}"
        listed = self._fs.ls(folder, detail=False) if self._fs.isdir(folder) else []
        return sorted(str(one).rstrip("/").rsplit("/", 1)[-1] for one in listed)

    def holds(self, asset: str, partition: str, version: str) -> bool:
        """Whether a version is stored; whether it is whole, `damage` tells."""
        return self._is_there(self._version(asset, partition, version))

    def locate(self, asset: str, partition: str, version: str) -> str:
        """Address of a version, for people."""
        return without_secrets(self._fs.unstrip_protocol(self._version(asset, partition, version)))

    def page(self, path: str) -> Page | None:
        """An HTML page of a version, by its path below the root; None for anything else, and for no text.

        A link is no page, wherever it leads: what the store wrote has none.
        """
        named = PAGE.fullmatch(path)
        if not named or (self._is_local and _has_link(self._root, path)):
            return None
        version = self._version(named["asset"], named["partition"], named["version"])
        place = version if self._is_local else object_versions.place_of(self._fs, version)
        file = f"{place}/{named['file']}"
        if not self._fs.isfile(file):
            return None
        try:
            text = bytes(self._fs.cat_file(file)).decode()
        except UnicodeDecodeError:
            return None
        return Page(text, named["asset"], named["partition"], named["version"], self._fs.modified(file))

    def _version(self, asset: str, partition: str, version: str) -> str:
        return f"{self._root}/{asset}/{partition}/{version}"

    def _pointer(self, asset: str, partition: str) -> str:
        return f"{self._root}/{asset}/{partition}/current.json"

    def _upload(
        self, folder: Path, asset: str, partition: str, version: str, sealed: tuple[str, ...]
    ) -> None:
        target = self._version(asset, partition, version)
        is_there = self._is_there(target)
        if is_there and self._is_as_written(target, version) and self._opens(target, sealed):
            return
        if not self._is_local:
            object_versions.put(self._fs, folder, target, anew=is_there)
            return
        if is_there:
            shutil.rmtree(target)
        try:
            with self._renamed(target) as temporary:
                self._fs.put(str(folder), temporary, recursive=True)
        except OSError:
            # Another process may have stored the same content meanwhile.
            if self.damage(asset, partition, version):
                raise

    def _is_there(self, target: str) -> bool:
        return bool(self._fs.exists(target)) if self._is_local else object_versions.is_there(self._fs, target)

    def _is_as_written(self, target: str, version: str) -> bool:
        with self._local(target) as stored:
            return damage(stored, version) is None

    def _opens(self, target: str, sealed: tuple[str, ...]) -> bool:
        """Whether files are sealed with the key that is here: not in the clear, nor with a lost one."""
        place = target if self._is_local or not sealed else object_versions.place_of(self._fs, target)
        return all(self._seal.opens(self._fs.head(f"{place}/{name}", 64)) for name in sealed)

    @property
    def _seal(self) -> Sealer:
        if self._sealer is None:
            raise ArtifactRefused(
                f"{self._root} was opened without the vault's key, which patients of sealed splits need.",
                "Open it with open_store(settings()).",
            )
        return self._sealer

    @contextmanager
    def _opened(
        self, stored: Path, asset: str, partition: str, version: str, kind: type[Any]
    ) -> Iterator[Path]:
        """A version with its files in the clear, for as long as it takes to load it."""
        # A release before sealing wrote them in the clear, and the first one lacked some.
        sealed = [name for name in sealed_files(kind) if _starts(stored / name, MAGIC)]
        if not sealed:
            yield stored
            return
        with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
            folder = Path(shutil.copytree(stored, Path(scratch) / "version"))
            for name in sealed:
                with self._keyed(asset, partition):
                    where = f"{asset}/{partition}/{version}/{name}"
                    content = self._seal.unseal((folder / name).read_bytes(), where)
                (folder / name).write_bytes(content)
            yield folder

    @contextmanager
    def _keyed(self, asset: str, partition: str) -> Iterator[None]:
        try:
            yield
        except VaultError as error:
            message = f"{asset} [{partition}]: {error}"
            raise ArtifactLocked(message, error.next_step, code=error.code) from error

    @contextmanager
    def _renamed(self, target: str) -> Iterator[str]:
        """A temporary name that becomes the target, or goes with what was written to it.

        An object is there as a whole once it is put: on object storage it is the target itself.
        """
        if not self._is_local:
            yield target
            return
        temporary = f"{target}.{uuid.uuid4().hex}"
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        try:
            yield temporary
            to_disk(Path(temporary))
            Path(temporary).rename(target)
            to_disk(Path(target).parent, whole=False)
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
                f"cannot write to the artifact folder {self._root}: {error.strerror or error}.",
                "Give write permission and room, or set E2I_ARTIFACTS to another place.",
            ) from error

    @contextmanager
    def _local(self, source: str) -> Iterator[Path]:
        if self._is_local:
            yield Path(source)
            return
        scratch = Path(tempfile.mkdtemp(prefix="e2i-"))
        try:
            object_versions.get(self._fs, source, scratch / "version")
            yield scratch / "version"
        finally:
            shutil.rmtree(scratch)


def _starts(file: Path, magic: bytes) -> bool:
    return file.exists() and file.read_bytes().startswith(magic)


def _altered(source: str, fault: str, asset: str, *, seen: bool) -> ArtifactRefused:
    again = f"Materialize {asset} again" if seen else f"Materialize {asset} again with --force"
    return ArtifactRefused(
        f"{source}: {fault}; it was changed after it was judged.",
        f"{again}: what is damaged is made anew.",
    )


def _forged(source: str, asset: str) -> ArtifactRefused:
    return ArtifactRefused(
        f"{source}: its content is not that of this version, whatever its {FILES} says; it was changed after "
        "it was judged.",
        f"Remove this folder and materialize {asset} again: it is made anew.",
    )


def _has_link(root: str, path: str) -> bool:
    """Whether a part of a local path below the root is a symbolic link."""
    return Path(root, path).resolve() != Path(root).resolve() / path
