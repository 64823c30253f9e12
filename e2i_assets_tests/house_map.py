"""The map of the house, drawn from the code: `make map` writes docs/house.svg, which CONTRIBUTING.md shows.

Rows are the layers that import-linter holds, from the top; their texts are the first sentences of the packages.
An arrow is an import; one that follows from others is left out, or nothing could be seen.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection, Iterator
from html import escape

import grimp

from e2i_assets_tests.conftest import ROOT

PACKAGE = "e2i_assets"
PICTURE = ROOT / "docs" / "house.svg"
Edge = tuple[str, str]

ROW, TOP, BOX_LEFT, BOX_WIDTH, WIDTH = 34, 66, 190, 120, 1080
ARC_PER_ROW = 13
STYLE = """
  text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .small { font-size: 12px; fill: #57606a }
  .name { font-weight: 600; text-anchor: middle }
  .plain { fill: #eef4ff; stroke: #6b8fc9 }
  .dagster { fill: #fff1e0; stroke: #d08a3c }
  .arrow { fill: none; stroke: #8c959f; stroke-width: 1.2 }
"""


def layers() -> tuple[list[str], list[Edge]]:
    """Names of the layers from the top, and the imports that are excepted from them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(c for c in linter["contracts"] if c["type"] == "layers")
    names = [name for layer in contract["layers"] for name in re.findall(r"\w+", layer)]
    excepted = [tuple(rule.split(" -> ")) for rule in contract.get("ignore_imports", ())]
    return names, [(importer, imported) for importer, imported in excepted]


def room(module: str) -> str:
    """The package, or module at the top, that a module is of."""
    return module.split(".")[1] if "." in module else module


def reduced(edges: Collection[Edge]) -> list[Edge]:
    """The edges that do not follow from others."""
    following: dict[str, set[str]] = {}
    for importer, imported in edges:
        following.setdefault(importer, set()).add(imported)

    def reaches(start: str, end: str) -> bool:
        return end in (then := following.get(start, set())) or any(reaches(one, end) for one in then)

    return sorted((a, b) for a, b in edges if not any(reaches(c, b) for c in following[a] - {b}))


def gist(name: str) -> str:
    """First sentence of the docstring of a package or module."""
    folder = ROOT / PACKAGE / name
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text())) or ""
    return re.split(r"\.(?:\s|$)|(?<=\?)\s", " ".join(text.split("\n\n")[0].split()))[0]


def picture() -> str:
    """The map as SVG."""
    names, excepted = layers()
    graph = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
    for importer, imported in excepted:
        graph.remove_import(importer=importer, imported=imported)
    ours = [module for module in graph.modules if module.startswith(f"{PACKAGE}.")]
    if outside := sorted({room(module) for module in ours} - set(names)):
        raise ValueError(f"in no layer of pyproject.toml: {', '.join(outside)}")
    imports = [(a, b) for a in ours for b in graph.find_modules_directly_imported_by(a)]
    edges = {(room(a), room(b)) for a, b in imports if b.startswith(f"{PACKAGE}.") and room(a) != room(b)}
    dagster = {room(a) for a, b in imports if b == "dagster"}
    height = TOP + ROW * len(names) + 14 + 18 * len(excepted)
    rows = {name: TOP + ROW * i for i, name in enumerate(names)}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{STYLE}</style>",
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8c959f"/></marker>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="{BOX_LEFT}" y="26">{PACKAGE}: who imports whom</text>',
        f'<rect class="dagster" x="{BOX_LEFT}" y="38" width="14" height="14" rx="3"/>',
        f'<text class="small" x="{BOX_LEFT + 20}" y="49">knows Dagster</text>',
        f'<rect class="plain" x="{BOX_LEFT + 120}" y="38" width="14" height="14" rx="3"/>',
        f'<text class="small" x="{BOX_LEFT + 140}" y="49">does not. Arrows are imports, always downwards; '
        "those that follow from others are left out.</text>",
        *(arrow(rows[a], rows[b]) for a, b in reduced(edges)),
    ]
    for name in names:
        lines += box(name, rows[name], "dagster" if name in dagster else "plain")
    for i, (importer, imported) in enumerate(excepted):
        text = f"Excepted by name: {importer} imports {imported}"
        lines.append(f'<text class="small" x="{BOX_LEFT}" y="{height - 12 - 18 * i}">{escape(text)}</text>')
    return "\n".join([*lines, "</svg>\n"])


def arrow(above: int, below: int) -> str:
    """From one row to another: straight to the next, else in an arc on the left."""
    if below - above == ROW:
        x = BOX_LEFT + BOX_WIDTH // 2
        return f'<path class="arrow" marker-end="url(#head)" d="M{x} {above + 26}V{below}"/>'
    out = BOX_LEFT - 8 - ARC_PER_ROW * (below - above) // ROW
    start, end = above + 17, below + 10
    return (
        f'<path class="arrow" marker-end="url(#head)" d="M{BOX_LEFT} {start}'
        f'C{out} {start} {out} {end} {BOX_LEFT} {end}"/>'
    )


def box(name: str, y: int, kind: str) -> Iterator[str]:
    """A package by its name, and beside it what it is."""
    yield f'<rect class="{kind}" x="{BOX_LEFT}" y="{y}" width="{BOX_WIDTH}" height="26" rx="5"/>'
    yield f'<text class="name" x="{BOX_LEFT + BOX_WIDTH // 2}" y="{y + 17}">{name}</text>'
    yield f'<text x="{BOX_LEFT + BOX_WIDTH + 14}" y="{y + 17}">{escape(gist(name))}</text>'


if __name__ == "__main__":
    PICTURE.write_text(picture())
    print(f"wrote {PICTURE}")
