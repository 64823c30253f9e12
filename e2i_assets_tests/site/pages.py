"""Which page of the reference is written from what."""

from __future__ import annotations

from e2i_assets_tests.site.commands import commands_page
from e2i_assets_tests.site.variables import variables_page

PAGES = {
    "reference/settings.md": variables_page,
    "reference/commands.md": commands_page,
}


def generated() -> dict[str, str]:
    """Path below `docs/` to the Markdown of each generated page."""
    return {path: write() for path, write in PAGES.items()}
