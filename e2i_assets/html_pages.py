"""HTML pages from the templates in `templates/`: every value is escaped, and one that is missing is an error.

All of them extend `page.html`: one file each, without scripts, that loads nothing.
"""

from __future__ import annotations

import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """The page that a template of `templates/` makes of values; the same values give the same page."""
    return _environment().get_template(template).render(values)


def template_hash(template: str) -> str:
    """SHA-256, in hex, of a template and of all that it extends, imports or includes: of all that decides how
    a page looks.
    """
    from jinja2.meta import find_referenced_templates

    folder, sources, waiting = Path(__file__).parent / "templates", dict[str, bytes](), [template]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = (folder / name).read_bytes()
            tree = _environment().parse(sources[name].decode())
            waiting += filter(None, find_referenced_templates(tree))
    return hashlib.sha256(b"\0".join(sources[name] for name in sorted(sources))).hexdigest()


def stamped(page: str, about: str) -> str:
    """A finished page that says at its top, and in its title, of what and when it is."""
    line = escape(about)
    return page.replace("<title>", f"<title>{line}: ", 1).replace("<body>", f"<body><p>{line}</p>", 1)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("e2i_assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
