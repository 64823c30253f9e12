"""Configuration files: strict YAML whose keys remember their lines. What a file means, its reader says.

PyYAML's parser with resolvers of our own, not ruamel.yaml 0.19, which was tried on the shipped files and on
24 odd ones. It takes ten times as long (42 ms for the shipped files against 3 ms, 127 ms to import against
14). It refuses a key that stands twice as we do, but reads `010` as 10, `1_000` as 1000, `0x1F` as 31,
`2024-01-01` as a date, `1e999` as infinity and an unknown tag as an object, takes keys 1 and "1" for two, and
has no bound on depth or on what aliases repeat. All that refuses them here would stand on top of it as well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema

from e2i_assets.errors import E2IError

DEEPEST = 20
"""Levels of keys; no file of ours has as many, one with an alias to itself has no end of them."""
DIGITS = 18
"""Characters of a whole number: as many fit into 64 bits."""
MOST = 100_000
"""Values of a file, those that aliases repeat among them: a few lines of aliases to aliases make billions."""

_NO_SUCH_KEY = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic calls a key that a model, or a dataclass, does not have."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


Text: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_not_blank)]
"""Text that says something."""


def _exact(schema: Any) -> Any:
    if isinstance(schema, list | tuple):
        return type(schema)(map(_exact, schema))
    if not isinstance(schema, dict):
        return schema
    strict = {"strict": True} if schema.get("type") in ("int", "float", "bool") else {}
    return {key: _exact(value) for key, value in schema.items()} | strict


class ConfigModel(BaseModel):
    """What a file may state, taken as it is written.

    A key that is not there is refused, as is text or a truth value where a number is asked for (`'90'`,
    `true`), a number where a truth value is, and a number without end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's strict mode, of numbers and truth values alone: it would refuse lists as well."""
        schema: CoreSchema = _exact(handler(source))
        return schema


class ConfigFileError(E2IError, ValueError):
    """A file that cannot be read as strict YAML; the message names file, line and why."""

    code = "config_file"
    next_step = "Correct the file at the line that the message names."


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
        named = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in key).lstrip(".")
        return ": ".join([where, *([named] if named else []), message])

    def mistakes(self, error: ValidationError, tags: Collection[str] = ()) -> Iterator[str]:
        """Each mistake of a model's validation at its line; `tags` are parts of a path that no file has."""
        for detail in error.errors(include_url=False):
            key = [str(part) for part in detail["loc"] if part not in tags]
            message = (
                "no such key"
                if detail["type"] in _NO_SUCH_KEY
                else detail["msg"].removeprefix("Value error, ")
            )
            yield self.at(key, message)


class _Loader(yaml.CSafeLoader):
    """YAML 1.2's plain scalars: `12:30`, `yes`, `1_000` and `2024-01-01` stay text; libyaml reads quickly."""

    path: Path
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- as PyYAML has it


for _tag, _written, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_written})$"), list(_first))


def _mistake(path: Path, problem: str, node: yaml.Node | yaml.Event) -> ConfigFileError:
    """What YAML allows and we do not."""
    mark: Any = node.start_mark
    return ConfigFileError(f"{path}:{mark.line + 1}: {problem}")


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = _without_zeros(loader.path, node)
    if len(text) > DIGITS:
        raise _mistake(
            loader.path, f"a whole number of more than {DIGITS} characters is text: put it in quotes", node
        )
    return int(text)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = _without_zeros(loader.path, node).lower()
    if text.endswith(("inf", "nan")):
        return float(text.replace(".", ""))
    if math.isinf(number := float(text)):
        raise _mistake(loader.path, f"{text} is larger than any number: write .inf for one without end", node)
    return number


def _without_zeros(path: Path, node: yaml.ScalarNode) -> str:
    if re.match(r"[-+]?0[0-9]", node.value):
        raise _mistake(
            path,
            f"{node.value} is text to some readers and octal to others: write '{node.value}', or the number "
            "without the zeros in front",
            node,
        )
    return node.value


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigFileError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigFileError(f"{path}: cannot be read: is not UTF-8") from error


def read_yaml(path: Path) -> tuple[Any, Lines]:
    """The document in a file, and where its keys stand.

    Raises:
        ConfigFileError: the file cannot be read, is no strict YAML, or says a key twice.
    """
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: Path) -> tuple[Any, Lines]:
    """A document that is text already; `path` is what mistakes name. Keys are taken as they are written.

    Raises:
        ConfigFileError: as `read_yaml`.
    """
    lines: dict[tuple[str, ...], int] = {}
    loader = _Loader(text)
    loader.path = path
    try:
        _check_extent(text, path)
        node = loader.get_single_node()
        return (None if node is None else _Builder(loader, lines).build(node, ())), Lines(path, lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or error
        raise ConfigFileError(f"{where}: is not YAML: {problem}") from error
    finally:
        loader.dispose()


def yaml_text(document: Any) -> str:
    """A document as text that `parse_yaml` reads back, its keys in their order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _check_extent(text: str, path: Path) -> None:
    """Refuse what would cost stack, memory or time without end once nodes are made of it."""
    open_since: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    size = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_since.pop()
            if anchor is not None:
                sizes[anchor] = size - before
        elif isinstance(event, yaml.AliasEvent):
            size += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            _check_content(event, path)
            if isinstance(event, yaml.CollectionStartEvent):
                open_since.append((event.anchor, size))
            size += 1
        if len(open_since) > DEEPEST + 1:
            raise _mistake(path, "is nested too deeply", event)
        if size > MOST:
            raise _mistake(
                path, f"holds more than {MOST} values, those that aliases repeat among them", event
            )


def _check_content(event: yaml.ScalarEvent | yaml.CollectionStartEvent, path: Path) -> None:
    if event.tag is not None:
        raise _mistake(
            path, f"the tag {event.tag} is not YAML that all readers take alike: leave it out", event
        )
    if isinstance(event, yaml.ScalarEvent) and "\0" in event.value:
        raise _mistake(path, "holds a NUL character, which no database keeps: leave it out", event)


def read_settings(path: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping of keys to values in a file, and where they stand.

    Raises:
        ConfigFileError: as `read_yaml`, or the file holds something else.
    """
    return parse_settings(read_text(path), path)


def parse_settings(text: str, path: Path) -> tuple[dict[str, Any], Lines]:
    """`read_settings` of a text that is read already; `path` is what mistakes name."""
    document, lines = parse_yaml(text, path)
    if not isinstance(document, dict):
        raise ConfigFileError(f"{path}: expected a mapping, found {type(document).__name__}")
    return document, lines


@dataclass
class _Builder:
    """Makes plain values of nodes; notes the line of each key."""

    loader: _Loader
    lines: dict[tuple[str, ...], int]
    merged: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node, key: tuple[str, ...]) -> Any:
        if len(key) > DEEPEST:
            raise _mistake(self.loader.path, "is nested too deeply, maybe in itself", node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self._noted(item, item, (*key, str(i))) for i, item in enumerate(node.value)]
        return self.loader.construct_object(node, deep=True)

    def _mapping(self, node: yaml.MappingNode, key: tuple[str, ...]) -> dict[str, Any]:
        self._merge(node)
        return {name.value: self._noted(name, value, (*key, name.value)) for name, value in node.value}

    def _merge(self, node: yaml.MappingNode) -> None:
        """Refuse keys that stand twice, then take in what `<<` names; an alias comes by more than once."""
        if id(node) in self.merged:
            return
        self.merged.add(id(node))
        seen: set[str] = set()
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _mistake(self.loader.path, "a key must be text", name)
            if name.value in seen:
                raise _mistake(self.loader.path, f"the key {name.value} stands twice", name)
            seen.add(name.value)
        self.loader.flatten_mapping(node)

    def _noted(self, where: yaml.Node, node: yaml.Node, key: tuple[str, ...]) -> Any:
        self.lines[key] = where.start_mark.line + 1
        return self.build(node, key)
