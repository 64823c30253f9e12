"""The one error of the cohort engine."""

from __future__ import annotations

from typing import Literal

from e2i_assets.errors import CodedError

ErrorCode = Literal["CC_001", "CC_002", "CC_004", "CC_005"]


class CohortError(CodedError, ValueError):
    """A cohort cannot be defined or constructed.

    `code` is `CC_001` invalid definition, `CC_002` missing columns, `CC_004` unusable data, `CC_005` unusable
    dates.
    """

    next_steps = {  # noqa: RUF012 -- typed in the base
        "CC_001": "Correct the cohort file; `e2i cohort show FILE` reads it again.",
        "CC_002": "Add the columns to the source and load again, or take their rules out of the cohort file.",
        "CC_004": "Convert the column that the message names, or correct its criterion in the cohort file.",
        "CC_005": "Convert the column to dates of the place where the patient was seen, without time zone.",
    }

    def __str__(self) -> str:
        return f"{self.code}: {super().__str__()}"
