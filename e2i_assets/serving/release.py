"""All models of a service that are to answer, or to be watched beside those that do, as one Bento."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from e2i_assets.file_hashes import COMPILED, File, hash_of, hashes
from e2i_assets.serving import store
from e2i_assets.serving.errors import BundleError
from e2i_assets.serving.packing import MODELS, SOURCES, member, pack, service_files
from e2i_assets.serving.schema import FORMAT
from e2i_assets.serving.server.release import RELEASE, read_release, verified

log = logging.getLogger("e2i.serving")


@dataclass(frozen=True)
class ReleaseMember:
    """A registered version in a release.

    Attributes:
        model_name, version: of the registry.
        bento_tag: its bundle.
        files_hash: of the bundle's files (`file_hashes.hash_of`), as the registry keeps it.
        stage: of the registry; every answer tells it.
        role: `active` answers requests for the name; `shadow` is asked the same, off their path.
    """

    model_name: str
    version: int
    bento_tag: str
    files_hash: str
    stage: str
    role: Literal["active", "shadow"] = "active"


def registered_hashes(members: Iterable[ReleaseMember]) -> str:
    """What the registry keeps, for `E2I_REGISTERED_HASHES` of a service that is started: it then loads no
    other files, whatever its own `release.json` says.
    """
    return json.dumps({f"{one.model_name}:{one.version}": one.files_hash for one in members})


def ensure_release(service: str, release_id: str, members: Sequence[ReleaseMember]) -> str:
    """Have the release in the store, whole and unchanged; gives its tag. One that was changed is built again.

    Raises:
        BundleError: as of `build_release`.
        OSError: what was changed cannot be removed.
    """
    tag = f"{service}:{release_id}"
    folder = store.folder_of(tag)
    if folder.exists() and not _is_as_built(folder / SOURCES, tag, members):
        log.warning("%s is not as it was built: it is built again", tag)
        shutil.rmtree(folder)
    return tag if folder.exists() else build_release(service, release_id, members)


def _is_as_built(folder: Path, tag: str, members: Sequence[ReleaseMember]) -> bool:
    """Whether the sources of a Bento are those of a release: the models by the hashes of the registry, the
    code by this platform's, or by that in a bundle of its members. Nothing of it is run.
    """
    try:
        release = read_release(folder)
        written = {
            ReleaseMember(
                **{f.name: one[f.name] for f in fields(ReleaseMember)} | {"version": int(one["version"])}
            )
            for one in release["members"]
        }
        if release["release"] != tag or written != set(members):
            return False
        for one in release["members"]:
            verified(one, folder)
        for compiled in list(folder.rglob(COMPILED)):
            shutil.rmtree(compiled)  # Python would run these in the place of their sources
        if any(path.is_symlink() for path in folder.rglob("*")):
            return False
        code = _code(hashes(folder))
        of_bundles = [
            _code({n.removeprefix(SOURCES): File(*f) for n, *f in one["files"] if n.startswith(SOURCES)})
            for one in release["members"]
        ]
    except (RuntimeError, OSError, LookupError, TypeError, ValueError):
        return False
    ours = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in service_files().items()}
    return code in (ours, *of_bundles)


def _code(files: Mapping[str, File]) -> dict[str, str]:
    """Of the files of a service those that are neither a model nor what BentoML and the release write."""
    written = ("bentofile.yaml", RELEASE)
    models = f"{MODELS}/"
    return {
        name: of.sha256 for name, of in files.items() if name not in written and not name.startswith(models)
    }


def build_release(service: str, release_id: str, members: Sequence[ReleaseMember]) -> str:
    """Build the Bento `<service>:<release_id>` into BentoML's current store; gives its tag.

    The same members under the same id are built once. Files of the bundles are compared with the hashes of
    the registry before any is copied; nothing is unpickled.

    Raises:
        BundleError: a bundle is gone, was changed, is of another service or of an earlier release of the
            platform, a name is given twice, a shadow stands alone, or two models need other versions of one
            library.
        BundleConflictError: the store has other content under that tag.
    """
    tag = f"{service}:{release_id}"
    _require_names(tag, members)
    bundles = {one: _bundle(one, service) for one in members}
    requirements = _requirements({one.bento_tag: path for one, (path, _, _) in bundles.items()})
    content_of_release = json.dumps([service, [asdict(one) for one in members], requirements])
    content = hashlib.sha256("\0".join([content_of_release, *service_files().values()]).encode()).hexdigest()

    def fill(folder: Path) -> list[dict[str, Any]]:
        return [_copy(one, *bundle, folder) for one, bundle in bundles.items()]

    if store.stored(tag, content) is None:
        names = ", ".join(f"{one.model_name} {one.version}" for one in members)
        description = f"# {tag}\n\nAnswers with {names}.\n"
        pack(tag, content, service, fill, requirements=requirements, description=description)
    return tag


def _require_names(tag: str, members: Sequence[ReleaseMember]) -> None:
    active = [one.model_name for one in members if one.role == "active"]
    if not active:
        raise BundleError(f"{tag}: no model answers", "Name at least one active version.")
    if twice := sorted({name for name in active if active.count(name) > 1}):
        raise BundleError(f"{tag}: two versions are to answer for {', '.join(twice)}", "Name one of each.")
    if alone := sorted({one.model_name for one in members} - set(active)):
        raise BundleError(f"{tag}: nothing answers beside the shadow of {', '.join(alone)}")


def _bundle(one: ReleaseMember, service: str) -> tuple[Path, str, dict[str, Any]]:
    """Folder of a bundle, name of its model there, and the list of its files; compared with the registry."""
    path = store.folder_of(one.bento_tag)
    if not path.is_dir():
        raise BundleError(f"bundle {one.bento_tag} is not in the store", "Materialize its asset again.")
    files = hashes(path)
    if hash_of(files) != one.files_hash:
        raise BundleError(
            f"bundle {one.bento_tag}: its files do not give the hash {one.files_hash} of the registry",
            "Materialize the bundle again, and register what is built.",
        )
    of_models = {name.split("/")[2] for name in files if name.startswith(f"{SOURCES}{MODELS}/")}
    if len(of_models) != 1:
        raise BundleError(f"bundle {one.bento_tag} is not one model of this release of the platform")
    (name,) = of_models
    schema = json.loads((path / SOURCES / MODELS / name / "schema.json").read_text(encoding="utf-8"))
    if schema.get("format") != FORMAT:
        raise BundleError(
            f"bundle {one.bento_tag} was built by another release of the platform; this one cannot serve it",
            "Materialize the bundle again, and register what is built.",
        )
    if schema["service"] != service:
        raise BundleError(f"bundle {one.bento_tag} is for {schema['service']}, not for {service}")
    return path, name, files


def _copy(one: ReleaseMember, bundle: Path, name: str, files: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Put a model into a release; gives its member of `release.json`."""
    source = f"{SOURCES}{MODELS}/{name}/"
    place = one.model_name if one.role == "active" else f"{one.model_name}.shadow.{one.version}"
    shutil.copytree(bundle / source, folder / MODELS / place, ignore=shutil.ignore_patterns(COMPILED))
    return member(
        model_name=one.model_name, version=str(one.version), bento_tag=one.bento_tag, stage=one.stage,
        role=one.role, files_hash=one.files_hash, folder=f"{MODELS}/{place}", source=source, files=files,
    )  # fmt: skip


def _requirements(bundles: dict[str, Path]) -> list[str]:
    """What all models need, each library in one version."""
    pinned: dict[str, tuple[str, str]] = {}
    for tag, path in bundles.items():
        for line in (path / "env" / "python" / "requirements.txt").read_text(encoding="utf-8").split():
            name = line.partition("==")[0]
            other, of = pinned.setdefault(name, (line, tag))
            if other != line:
                raise BundleError(
                    f"bundles {of} and {tag} need {other} and {line}, which one process cannot have both",
                    "Train and bundle the older model again.",
                )
    return sorted(line for line, _ in pinned.values())
