"""What docstrings of the package say, for pages: their text, and what they say of each attribute."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Attributes|Args|Returns|Raises|Yields):\n((?:[ ]{4}.*(?:\n|\Z)|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def text_of(thing: type) -> str:
    """The text of a class's own docstring, without its sections; Markdown."""
    return _SECTION.sub("", _own(thing)).strip()


def attributes_of(thing: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of each attribute, as one line of Markdown.

    Several attributes may share an entry, as in `low, high: inclusive bounds.`
    """
    meanings: dict[str, str] = {}
    for kind in reversed(thing.__mro__):
        for section, entries in _SECTION.findall(_own(kind)):
            if section == "Attributes":
                for names, meaning in _ENTRY.findall(entries):
                    meanings |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return meanings


def _own(thing: type) -> str:
    return inspect.cleandoc(thing.__dict__.get("__doc__") or "")
