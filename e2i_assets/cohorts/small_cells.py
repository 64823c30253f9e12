"""How counts of patients are told where those of a few are not to be told: all of them coarsely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

import numpy as np

MINIMUM_CELL_COUNT = 5
"""Patients below whom nothing is told of a group, where no configuration says otherwise."""
COUNTS = frozenset(
    {
        "rows", "removed_count", "null_count", "remaining_count", "sole_removed_count", "total_count",
        "eligible_count", "excluded_count", "eligible_without", "stayed", "gained", "lost",
    }
)  # fmt: skip
"""Keys of documents that hold counts of patients."""


@dataclass(frozen=True)
class Cells:
    """Counts as they are, or, with a `minimum`, hidden below it and rounded to its multiples above.

    Every count is rounded, not the small ones alone: what a rule removed would otherwise be the difference of
    what is left before and after it.
    """

    minimum: int | None = None

    def text(self, count: int) -> str:
        """A count for people: `1,234`, `<5`."""
        if self.minimum is None or count == 0:
            return f"{count:,}"
        return f"<{self.minimum}" if count < self.minimum else f"{self.rounded(count):,}"

    def figure(self, count: int) -> int | str:
        """A count for a table or a document: a number, or `<5`."""
        return self.text(count) if self.minimum and 0 < count < self.minimum else self.rounded(count)

    @overload
    def rounded(self, count: int) -> int: ...
    @overload
    def rounded(self, count: np.ndarray) -> np.ndarray: ...
    def rounded(self, count: int | np.ndarray) -> int | np.ndarray:
        """The nearest multiple of the minimum; the count itself where nothing is hidden."""
        if self.minimum is None:
            return count
        return self.minimum * ((2 * count + self.minimum) // (2 * self.minimum))

    def share(self, count: int, total: int) -> float | None:
        """Count of total; None where either is a small cell, or what is left."""
        if not total:
            return 0.0
        if self.minimum is None:
            return count / total
        small = any(0 < n < self.minimum for n in (count, total - count))
        return None if small else self.rounded(count) / self.rounded(total)

    def document(self, value: Any) -> Any:
        """A document of plain types with its counts as `figure` tells them."""
        if self.minimum is None:
            return value
        if isinstance(value, dict):
            return {k: self._entry(k, v) for k, v in value.items()}
        return [self.document(v) for v in value] if isinstance(value, list | tuple) else value

    def _entry(self, key: str, value: Any) -> Any:
        if key == "exclusion_rate":
            return None
        counted = key in COUNTS and isinstance(value, int)
        return self.figure(value) if counted else self.document(value)


EXACT = Cells()
"""Counts as they are."""
