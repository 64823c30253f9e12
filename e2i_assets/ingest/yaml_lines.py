"""YAML whose keys remember the line on which they stand, so that a mistake can name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DEEPEST = 20
"""Levels of keys; no file of ours has as many, one with an alias to itself has no end of them."""


@dataclass(frozen=True)
class Lines:
    """Where each key of a file stands.

    Attributes:
        path: the file.
        of: path of keys to line number, from 1.
    """

    path: Path
    of: dict[tuple[str, ...], int] = field(repr=False)

    def at(self, key: Sequence[str], message: str) -> str:
        """`file:line: key: message`, with the line of the innermost key that the file has, else the first."""
        known = (self.of[k] for n in range(len(key), 0, -1) if (k := tuple(key[:n])) in self.of)
        where = f"{self.path}:{next(known, 1)}" if self.of else f"{self.path}"
        return ": ".join([where, *([".".join(key)] if key else []), message])


def load_with_lines(text: str, path: Path) -> tuple[Any, Lines]:
    """Read a YAML document; keys are taken as they are written (`no` stays `no`).

    Raises:
        yaml.YAMLError: the text is no YAML, or a key stands twice.
    """
    lines: dict[tuple[str, ...], int] = {}
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        return (None if node is None else _build(loader, node, (), lines)), Lines(path, lines)
    finally:
        loader.dispose()


def _build(
    loader: yaml.SafeLoader, node: yaml.Node, key: tuple[str, ...], lines: dict[tuple[str, ...], int]
) -> Any:
    if len(key) > DEEPEST:
        raise _mistake("is nested too deeply, maybe in itself", node)
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _mistake("a key must be text", name)
            if name.value in built:
                raise _mistake(f"the key {name.value} stands twice", name)
            inner = (*key, name.value)
            lines[inner] = name.start_mark.line + 1
            built[name.value] = _build(loader, value, inner, lines)
        return built
    if isinstance(node, yaml.SequenceNode):
        items = []
        for i, item in enumerate(node.value):
            lines[(*key, str(i))] = item.start_mark.line + 1
            items.append(_build(loader, item, (*key, str(i)), lines))
        return items
    return loader.construct_object(node, deep=True)


def _mistake(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
