"""Griffe's extension for the API reference: an entry of a docstring that several names share is one of each."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): (.*(?:\n\1 +\S.*)*)", re.MULTILINE)
"""`low, high: inclusive bounds.`, which Griffe reads as an attribute `low,`."""


class SharedEntries(Extension):
    """Splits entries of docstrings before they are parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of any object that is loaded."""
        if obj.docstring:
            obj.docstring.value = _SHARED.sub(_each, obj.docstring.value)


def _each(entry: re.Match[str]) -> str:
    indent, names, meaning = entry.groups()
    return "\n".join(f"{indent}{name}: {meaning}" for name in names.split(", "))
