"""How large a number may be to be computed with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

LARGEST = 1e30
"""Beyond it squares, and the single precision that trees compare in, overflow; no measurement is as large."""
TOO_LARGE = f"numbers that are infinite or beyond {LARGEST:g}, which nothing can be computed with"
MEND_NUMBERS = "Mend the unit or the reading of the column in the mapping, or name it under features.exclude."


def too_large(frame: pd.DataFrame, names: Iterable[str]) -> str:
    """The columns of numbers that hold some beyond `LARGEST`, with how many rows; empty where none does."""
    numbers = [name for name in names if pd.api.types.is_numeric_dtype(frame[name])]
    rows = {
        name: int((np.abs(frame[name].to_numpy(dtype=float, na_value=np.nan)) > LARGEST).sum())
        for name in numbers
    }
    return ", ".join(f"{name} ({count} rows)" for name, count in rows.items() if count)
