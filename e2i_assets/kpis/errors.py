"""What is wrong with the files of the indicators."""

from __future__ import annotations

from e2i_assets.errors import E2IError


class KpiFileError(E2IError, ValueError):
    """A file of indicators that cannot be used; names file, line, indicator and rule."""

    code = "kpi_file"
    next_step = "Correct the file of indicators that the message names."
