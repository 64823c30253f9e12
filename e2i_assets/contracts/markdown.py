"""Text in Markdown documents: names and values of data are shown as they are, never obeyed."""

from __future__ import annotations

import html
import re

_OBEYED = re.compile(r"[\\`*\[\]|~#!]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str) -> str:
    """Text for a paragraph or a table's cell: no tag, link, picture, code or further cell comes of it."""
    return _OBEYED.sub(r"\\\g<0>", " ".join(text.split())).translate(_ENTITIES)


def told(escaped: str) -> str:
    """What `plain` was given, but for its line breaks: for a terminal, which reads no Markdown."""
    return html.unescape(re.sub(rf"\\({_OBEYED.pattern})", r"\1", escaped))


def code(text: str) -> str:
    """Text as code in a table's cell, which nothing in it ends."""
    return "`" + " ".join(text.split()).replace("|", "\\|").replace("`", "'") + "`"
