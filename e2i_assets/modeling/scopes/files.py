"""The scope files in config/scopes/: which problem type one is of decides what else it may say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from e2i_assets.config_files import ConfigFileError, read_settings
from e2i_assets.modeling.errors import ConfigError
from e2i_assets.modeling.scopes.contradictions import contradictions
from e2i_assets.modeling.scopes.problem_types import PROBLEMS, SCOPES
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.modeling.selection.catalogue import CATALOGUE

_KINDS: Any = reduce(or_, SCOPES.values())
_ANY: TypeAdapter[Scope] = TypeAdapter(Annotated[_KINDS, Field(discriminator="problem_type")])


def as_scope(document: Mapping[str, Any]) -> Scope:
    """The scope that a document states.

    Raises:
        pydantic.ValidationError: no such problem type, an unknown key or a wrong value.
    """
    return _ANY.validate_python(document)


def read_scope(path: Path) -> Scope:
    """Read one scope file, whose stem must be the scope's name.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or wrong, or the name is not the stem.
    """
    try:
        document, lines = read_settings(path)
    except ConfigFileError as error:
        raise ConfigError(str(error)) from error
    kind = document.get("problem_type")
    if not isinstance(kind, str) or kind not in SCOPES:
        reason = "is missing" if kind is None else f"there is no {kind}"
        raise ConfigError(lines.at(["problem_type"], f"{reason}; write one of {', '.join(SCOPES)}"))
    if "treatment" in document and kind in PROBLEMS:
        reason = f"{kind} has no treatment: nothing causal is asked; remove it"
        raise ConfigError(lines.at(["treatment"], reason))
    try:
        scope = as_scope(document)
    except ValidationError as error:
        raise ConfigError("; ".join(lines.mistakes(error, tags=SCOPES))) from error
    if unknown := [name for name in scope.selection.preferred_algorithms if name not in CATALOGUE]:
        reason = f"there is no {', '.join(unknown)}; known are {', '.join(CATALOGUE)}"
        raise ConfigError(lines.at(["selection", "preferred_algorithms"], reason))
    if clashes := [lines.at(key, reason) for key, reason in contradictions(scope)]:
        raise ConfigError("; ".join(clashes))
    if scope.name != path.stem:
        raise ConfigError(f"{path}: name: is {scope.name!r}, but the file is called {path.stem!r}")
    return scope


@cache
def load_scopes(folder: Path) -> dict[str, Scope]:
    """The scopes of a folder whose files are right, by name and in the order of the names.

    A wrong one stops what it serves (`wrong_scopes`), not the others.

    Raises:
        ConfigError: there is none, or all are wrong.
    """
    wrong = wrong_scopes(folder)
    scopes = {p.stem: read_scope(p) for p in sorted(folder.glob("*.yaml")) if p.stem not in wrong}
    if not scopes:
        raise ConfigError("; ".join(wrong.values()) or f"no scope file (*.yaml) in {folder}")
    return scopes


@cache
def wrong_scopes(folder: Path) -> dict[str, str]:
    """Name to what is wrong with it, of each wrong scope file of a folder."""
    wrong = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            read_scope(path)
        except ConfigError as error:
            wrong[path.stem] = str(error)
    return wrong
