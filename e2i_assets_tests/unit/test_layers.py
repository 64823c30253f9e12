"""Each contract about imports fails where it is broken, planted in a copy of the package; no import goes in a circle."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import grimp
import pytest

from e2i_assets_tests.conftest import ROOT

Contract = dict[str, Any]
Import = tuple[str, str]
CONTRACTS: list[Contract] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def up_the_layers(contract: Contract) -> Iterator[Import]:
    """From each layer to the one above it."""
    (container,) = contract["containers"]
    layers = [
        [f"{container}.{name}" for name in re.findall(r"[\w.]+", layer)] for layer in contract["layers"]
    ]
    for above, below in pairwise(layers):
        yield from ((low, high) for low in below for high in above)


def forbidden(contract: Contract) -> Iterator[Import]:
    """Everything that the contract forbids, from everything that it is about."""
    for source in contract["source_modules"]:
        yield from ((source, module) for module in contract["forbidden_modules"])


BREACHES: dict[str, Callable[[Contract], Iterator[Import]]] = {
    "layers": up_the_layers,
    "forbidden": forbidden,
}
"""Type of a contract to imports that break it; a contract of another type needs an entry here."""


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_every_forbidden_import_breaks_its_contract(contract: Contract, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "e2i_assets", tmp_path / "e2i_assets", symlinks=True)
    breaches = list(BREACHES[contract["type"]](contract))
    for importer, imported in breaches:
        plant(tmp_path, importer, imported)
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{contract['name']} BROKEN" in done.stdout
    _, _, result = done.stdout.partition(f"\n{contract['name']}\n-")
    assert breaches
    assert set(breaches) <= set(re.findall(r"^-?\s+(\S+) -> (\S+) \(l\.", result, flags=re.MULTILINE))


def plant(copy: Path, importer: str, imported: str) -> None:
    path = copy.joinpath(*importer.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert file.is_file(), file
    with file.open("a") as source:
        source.write(f"\nimport {imported}\n")


def circle(graph: grimp.ImportGraph) -> list[str]:
    """A circle of modules that import each other, also inside functions or for types alone; empty if none is."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("e2i_assets", cache_dir=None)
    assert circle(graph) == []
    graph.add_import(importer="e2i_assets.errors", imported="e2i_assets.build")
    assert {"e2i_assets.errors", "e2i_assets.build"} <= set(circle(graph))
