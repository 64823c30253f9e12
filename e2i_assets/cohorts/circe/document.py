"""Reading a Circe definition: strict JSON of which every key must be read, or is refused with its path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2i_assets.errors import E2IError

LARGEST = 20_000_000
"""Bytes of a file: concept sets of thousands of concepts take a few million."""
DEEPEST = 60
"""Levels of JSON: a group in a group takes two."""
SHOWN = 20
"""Refusals that a message lists."""
INSTEAD = "Change the definition in ATLAS so that it does without, and export it again."


class CirceError(E2IError, ValueError):
    """A definition that is no Circe JSON, or asks for what cohorts of ours cannot honour."""

    code = "circe"
    next_step = "Change the definition where the message says, and import it again."


class Refusal(E2IError, ValueError):
    """One construct that cannot be taken over; `refused` makes it."""

    code = "circe_construct"
    next_step = INSTEAD


def refused(path: str, reason: str, advice: str = INSTEAD) -> Refusal:
    """The refusal of what stands at a path: why, and what to do about it."""
    return Refusal(f"{path}: {reason}", advice)


@dataclass
class Refusals:
    """What is refused of one file; raised together, so that a definition is mended once."""

    path: Path
    found: list[str] = field(default_factory=list)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Go on after what is refused inside."""
        try:
            yield
        except Refusal as refusal:
            self.found.append(refusal.summary)

    def raise_any(self) -> None:
        """Raise what was refused so far.

        Raises:
            CirceError: each with its JSON path.
        """
        if not self.found:
            return
        listed = self.found[:SHOWN]
        if more := len(self.found) - len(listed):
            listed.append(f"and {more} more")
        raise CirceError(f"{self.path}: cannot be taken over:\n" + "\n".join(listed))


@dataclass
class Node:
    """A JSON object and where it is; what nobody takes of it is refused by `done`."""

    content: dict[str, Any]
    path: str
    taken: set[str] = field(default_factory=set)

    @staticmethod
    def of(value: Any, path: str) -> Node:
        """An object.

        Raises:
            Refusal: it is something else.
        """
        if not isinstance(value, dict):
            raise refused(path, f"is {_kind(value)}, not an object")
        return Node(value, path)

    def take(self, key: str) -> Any:
        """A value as it is; None where it is not there."""
        self.taken.add(key)
        return self.content.get(key)

    def has(self, key: str) -> bool:
        """Whether something that is not empty stands there."""
        return not _is_empty(self.content.get(key))

    def child(self, key: str) -> Node | None:
        """An object below, None where there is none."""
        value = self.take(key)
        return None if value is None else Node.of(value, self.at(key))

    def children(self, key: str) -> list[Node]:
        """The objects of a list, which may be missing."""
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise refused(self.at(key), f"is {_kind(value)}, not a list")
        return [Node.of(item, f"{self.at(key)}[{i}]") for i, item in enumerate(value)]

    def text(self, key: str) -> str:
        """A text without control characters, empty where it is missing."""
        value = self.take(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise refused(self.at(key), f"is {_kind(value)}, not text")
        return re.sub(
            r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]+", " ", value
        ).strip()

    def flag(self, key: str) -> bool:
        """A truth value, False where it is missing."""
        value = self.take(key)
        if value is not None and not isinstance(value, bool):
            raise refused(self.at(key), f"is {_kind(value)}, not true or false")
        return bool(value)

    def whole(self, key: str) -> int | None:
        """A whole number of at most 64 bits, None where it is missing."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise refused(self.at(key), f"is {_kind(value)}, not a whole number of 64 bits")
        return value

    def number(self, key: str) -> int | float | None:
        """A number, None where it is missing."""
        value = self.take(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise refused(self.at(key), f"is {_kind(value)}, not a number")
        return value

    def at(self, key: str) -> str:
        """The path of a key below."""
        return f"{self.path}.{key}"

    def refused_at(self, key: str, reason: str, advice: str = INSTEAD) -> Refusal:
        """A refusal of what stands at a key."""
        return refused(self.at(key), reason, advice)

    def done(self, advice: dict[str, str] | None = None) -> None:
        """Refuse the first key that nobody took and that says something.

        Args:
            advice: key to what to do about it.
        """
        for key, value in self.content.items():
            if key not in self.taken and not _is_empty(value):
                raise self.refused_at(key, f"{key} is not supported", (advice or {}).get(key, INSTEAD))


def read_document(path: Path) -> tuple[Node, str, str]:
    """The definition of a file, with its name and description where ATLAS's own wrapper tells them.

    Raises:
        CirceError: the file cannot be read, or is no Circe definition.
    """
    wrapper = _parsed(path, _text(path), "$")
    if not isinstance(wrapper, dict):
        raise CirceError(f"{path}: is {_kind(wrapper)}, not a cohort definition")
    expression, at = wrapper, "$"
    named = Node(wrapper, "$")
    if "PrimaryCriteria" not in wrapper and "expression" in wrapper:
        expression, at = wrapper["expression"], "$.expression"
        if isinstance(expression, str):  # as ATLAS's server stores it
            expression = _parsed(path, expression, at)
    if not isinstance(expression, dict) or "PrimaryCriteria" not in expression:
        raise CirceError(
            f"{path}: {at}: is no Circe cohort definition: it has no PrimaryCriteria",
            "Give the JSON that ATLAS shows under Export; a concept set or an analysis is none.",
        )
    try:
        name, description = (named.text("name"), named.text("description")) if at != "$" else ("", "")
    except Refusal as refusal:
        raise CirceError(f"{path}: {refusal}") from None
    return Node(expression, at), name, description


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise CirceError(f"{path}: is larger than {LARGEST // 1_000_000} MB, which no definition is")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CirceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CirceError(f"{path}: cannot be read: is not UTF-8") from error


def _parsed(path: Path, text: str, at: str) -> Any:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CirceError(f"{path}: {at}: the key {twice} stands twice in one object")
        return content

    def finite(number: str) -> Any:
        raise CirceError(f"{path}: {at}: {number} is no number of JSON")

    def real(number: str) -> float:
        return float(number) if math.isfinite(float(number)) else finite(number)

    try:
        document = json.loads(text, object_pairs_hook=distinct, parse_constant=finite, parse_float=real)
    except json.JSONDecodeError as error:
        raise CirceError(f"{path}:{error.lineno}: {at}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise CirceError(f"{path}: {at}: is nested too deeply") from None
    except CirceError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise CirceError(f"{path}: {at}: is not JSON that can be read: {type(error).__name__}") from None
    if _depth(document) > DEEPEST:
        raise CirceError(f"{path}: {at}: is nested too deeply: more than {DEEPEST} levels")
    return document


def _depth(document: Any) -> int:
    deepest, waiting = 0, [(document, 1)]
    while waiting:
        value, level = waiting.pop()
        deepest = max(deepest, level)
        if isinstance(value, dict | list):
            waiting += [(item, level + 1) for item in (value.values() if isinstance(value, dict) else value)]
    return deepest


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _kind(value: Any) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list"}
    return "null" if value is None else names.get(type(value), "an object")
