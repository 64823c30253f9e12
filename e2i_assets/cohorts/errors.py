"""The one error of the cohort engine."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal["CC_001", "CC_002", "CC_004", "CC_005"]


class CohortError(ValueError):
    """A cohort cannot be defined or constructed.

    Attributes:
        code: `CC_001` invalid definition, `CC_002` missing columns, `CC_004` unusable data, `CC_005` unusable
            dates.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
