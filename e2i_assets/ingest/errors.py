"""What goes wrong with a source itself, apart from what is wrong with its rows."""

from __future__ import annotations

import re

import duckdb

from e2i_assets.errors import E2IError

SCRATCH = "e2i-import-"
"""Prefix of temporary folders; a file in one is a copy of the source's."""


class SourceError(E2IError, ValueError):
    """A source that cannot be read; the message names the file or table and why."""

    code = "source"
    next_step = "Mend the source, or what the mapping says of it, and run the same again."


class NotThere(SourceError):
    """A file or table that a mapping names, and that the source does not have."""

    code = "not_in_source"
    next_step = "Name a file or table that the source has."


class Lacking(SourceError):
    """A source without a table or column that a CDM has."""

    code = "not_in_cdm"
    next_step = "Deliver the table or column, or map the source by `tables` instead of `omop`."


class Misstated(SourceError):
    """Something that a mapping says at `key` does not fit the source."""

    code = "misstated"
    next_step = "Correct the mapping at the key that the message names."

    def __init__(self, key: tuple[str, ...], message: str) -> None:
        self.key = key
        super().__init__(message)


REASONS = {
    "Expected Number of Columns": "has another number of cells than the header",
    "Invalid unicode": "is not UTF-8; say `read: {encoding: latin-1}` (or cp1252, utf-16 …) in the mapping",
    "unterminated quote": "has a quote that does not end",
    "Maximum line size": "is longer than the 2,000,000 bytes that a CSV record may have",
    "invalid state": "breaks the CSV rules (quotes or line ends)",
}


def unreadable(origin: str, error: Exception) -> SourceError:
    """What DuckDB says of a file, without the line that it quotes: it may be a patient's."""
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    file = re.search(r"^\s*file = (.+)$", text, flags=re.MULTILINE)
    where = file.group(1) if file and SCRATCH not in file.group(1) else origin
    reason = next((meaning for sign, meaning in REASONS.items() if sign in text), None)
    if reason is None and isinstance(error, duckdb.IOException | OSError):
        reason = "cannot be read any more, or is damaged"
    if reason is None and type(error) is duckdb.Error:
        reason = "cannot be read in parts over this filesystem or server; copy it here first"
    if reason is None:
        reason = f"cannot be read, the file is damaged ({type(error).__name__})"
    return SourceError(f"{where}: line {line.group(1)} {reason}" if line else f"{where}: {reason}")
