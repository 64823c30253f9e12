"""Pages of versions: where they are served, and which paths are such."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from e2i_assets.resources.version_files import DIGITS

PAGES = "/pages"
"""Where `e2i up` serves the pages of versions, at Dagit's own address: a link of Dagit needs no more."""
PAGE = re.compile(
    rf"(?P<asset>[\w/-]+)/(?P<partition>[\w-]+)/(?P<version>[0-9a-f]{{{DIGITS}}})"
    rf"/(?P<file>([\w-]+/)*[\w-]+\.html)",
    re.ASCII,
)


@dataclass(frozen=True)
class Page:
    """A page of a version, of which partition and asset it is, and when it was made."""

    html: str
    asset: str
    partition: str
    version: str
    made: datetime
