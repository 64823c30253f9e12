"""The code location."""

import gc

# What is imported stays: the many passes that would look for garbage in it take a tenth of the time.
gc.set_threshold(100_000)

from e2i_assets.build import build_defs  # noqa: E402 -- after that

defs = build_defs()
