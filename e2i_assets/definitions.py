"""The code location."""

from e2i_assets.build import build_defs

defs = build_defs()
