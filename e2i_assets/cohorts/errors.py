"""The one error of the cohort engine."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal["CC_001", "CC_002", "CC_004", "CC_005"]
NEXT_STEPS: dict[ErrorCode, str] = {
    "CC_001": "Correct the cohort file; `e2i cohort show FILE` reads it again.",
    "CC_002": "Add the columns to the source and load again, or take their rules out of the cohort file.",
    "CC_004": "Convert the column that the message names, or correct its criterion in the cohort file.",
    "CC_005": "Convert the column to dates of the place where the patient was seen, without time zone.",
}


class CohortError(ValueError):
    """A cohort cannot be defined or constructed.

    Attributes:
        code: `CC_001` invalid definition, `CC_002` missing columns, `CC_004` unusable data, `CC_005` unusable
            dates.
        next_step: what to do about it.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.next_step = NEXT_STEPS[code]
