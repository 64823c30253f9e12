"""Text in Markdown documents: names and values of data are shown as they are, never obeyed."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence

_OBEYED = re.compile(r"[\\`*\[\]|~#!]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str) -> str:
    """Text for a paragraph or a table's cell: no tag, link, picture, code or further cell comes of it."""
    return _OBEYED.sub(r"\\\g<0>", " ".join(text.split())).translate(_ENTITIES)


def unescaped(escaped: str) -> str:
    """What `plain` was given, but for its line breaks: for a terminal, which reads no Markdown."""
    return html.unescape(re.sub(rf"\\({_OBEYED.pattern})", r"\1", escaped))


class Written(str):
    """What is Markdown already, and goes into a table's cell as it is."""

    __slots__ = ()


def code(text: str) -> Written:
    """Text as code in a table's cell, which nothing in it ends."""
    return Written("`" + " ".join(text.split()).replace("|", "\\|").replace("`", "'") + "`")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()) -> str:
    """A table whose cells are shown as they are, but for what is `Written`.

    Args:
        right: headings of the columns that are set to the right.
    """
    rule = [Written("--:" if head in right else "---") for head in heads]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in (heads, rule, *rows))


def _cell(text: str) -> str:
    return text if isinstance(text, Written) else plain(text)
