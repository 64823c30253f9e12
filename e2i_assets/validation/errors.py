"""Why a version cannot be validated elsewhere."""

from __future__ import annotations

from e2i_assets.errors import E2IError


class NotValidated(E2IError, ValueError):
    """A version that can say nothing of these patients; the message tells why."""

    code = "not_validated"
    next_step = "`e2i models list` shows the versions, and a file in config/cohorts makes a partition."
    exit_code = 1
