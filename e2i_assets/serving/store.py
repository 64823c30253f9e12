"""BentoML's store of bundles: which folder it is, and how a bundle gets into it whole or not at all.

Tried with bentoml 1.4.39, whose stores and container are its own affair: there is no other way to use a
second store in a process, to ask for one version and no longer one, or to build beside the store. The Swagger
UI that it brings is found here, too.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from e2i_assets.serving.errors import BundleConflictError, BundleError

CONTENT_LABEL = "e2i.content"
"""Label of a Bento that holds the hash of what it was made from."""


@contextmanager
def bento_store(home: Path) -> Iterator[Path]:
    """Use `home` as BentoML's home within the block, here and in processes started from here.

    BentoML reads `BENTOML_HOME` once per process, when the store is first used, and remembers it; so the
    variable alone comes too late in a process that has used another store before. Global to the process:
    not for two stores in two threads.

    Raises:
        BundleError: the folder cannot be made or written to.
    """
    from bentoml._internal.bento import BentoStore
    from bentoml._internal.configuration.containers import BentoMLContainer as Container
    from bentoml._internal.models import ModelStore

    home = home.expanduser().resolve()
    folders = {name: home / name for name in ("bentos", "models", "tmp")}
    for folder in folders.values():
        _make(folder)
    values = [
        (Container.bentoml_home, str(home)),
        (Container.bento_store_dir, str(folders["bentos"])),
        (Container.model_store_dir, str(folders["models"])),
        (Container.tmp_bento_store_dir, str(folders["tmp"])),
        (Container.bento_store, BentoStore(folders["bentos"])),
        (Container.model_store, ModelStore(folders["models"])),
    ]
    # Their own `patch` does not restore after an exception.
    before = [(provider, provider.__getstate__()) for provider, _ in values]
    variable = os.environ.get("BENTOML_HOME")
    try:
        for provider, value in values:
            provider.set(value)
        os.environ["BENTOML_HOME"] = str(home)
        yield home
    finally:
        for provider, state in before:
            provider.__setstate__(state)
        os.environ.pop("BENTOML_HOME")
        if variable is not None:
            os.environ["BENTOML_HOME"] = variable


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(
            f"bundle store: {error.strerror} at {folder}", "Name a writable BENTOML_HOME."
        ) from error


def folder_of(tag: str) -> Path:
    """Where the current store has the bundle `tag`, if it has."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.bento_store_dir.get()) / tag.replace(":", "/")


def stored(tag: str, content: str) -> Path | None:
    """Folder of the bundle `tag` in the current store, or None when there is none.

    Raises:
        BundleConflictError: there is one, made from other content than `content`.
        BundleError: there is one that BentoML cannot read.
    """
    from bentoml._internal.bento import BentoStore
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml.exceptions import BentoMLException

    # Not `get`: it takes a version's prefix for the version.
    try:
        bentos = BentoStore(BentoMLContainer.bento_store_dir.get()).list(tag)
    except BentoMLException as error:
        raise BundleError(
            f"bundle {tag}: unreadable in the store", f"Remove it with `bentoml delete {tag}`."
        ) from error
    if not bentos:
        return None
    if bentos[0].info.labels.get(CONTENT_LABEL) != content:
        raise BundleConflictError(f"bundle {tag} is in the store with other content")
    return Path(bentos[0].path)


def build_into_store(tag: str, content: str, folder: Path, options: Mapping[str, Any]) -> Path:
    """Build the Bento `tag` from `folder` and put it into the current store in one rename.

    BentoML copies a finished Bento file by file to its final place and leaves what it has when it is
    interrupted; so it is given a store of its own beside the real one, and only the result is moved.

    Returns:
        Folder of the bundle in the store.
    """
    import bentoml
    from bentoml._internal.bento import BentoStore
    from bentoml._internal.configuration.containers import BentoMLContainer

    name, _, version = tag.partition(":")
    target = folder_of(tag)
    with tempfile.TemporaryDirectory(
        prefix="e2i-", dir=BentoMLContainer.tmp_bento_store_dir.get()
    ) as staging:
        with _importing_from(folder):
            built = bentoml.build(
                name=name,
                version=version,
                build_ctx=str(folder),
                labels={CONTENT_LABEL: content},
                _bento_store=BentoStore(staging),
                **options,
            )
        for path in Path(built.path).rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)  # a script of BentoML's brings its own mode
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            Path(built.path).rename(target)
        except OSError:
            # Another process was faster; what it made counts if it is the same.
            if (other := stored(tag, content)) is None:
                raise
            return other
        latest = Path(staging) / "latest"
        latest.write_text(version, encoding="utf-8")
        latest.replace(target.parent / "latest")
    return target


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Undo what BentoML's import of the service leaves behind.

    It changes directory, extends `sys.path` and keeps the modules, whose names are the same in every bundle.
    """
    roots = {path.stem for path in folder.glob("*") if path.suffix == ".py" or path.is_dir()}
    ours = [name for name in sys.modules if name.partition(".")[0] in roots]
    modules, path = {name: sys.modules.pop(name) for name in ours}, list(sys.path)
    importlib.invalidate_caches()
    try:
        with chdir(folder):
            yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
            del sys.modules[name]
        sys.modules.update(modules)


def swagger_ui() -> Path:
    """Folder of the Swagger UI that BentoML shows its services with, which needs no Internet."""
    static = importlib.metadata.distribution("bentoml").locate_file("bentoml/_internal/server/static_content")
    return Path(str(static))
