"""Values of any type as text."""

from __future__ import annotations

import pandas as pd


def as_text(column: pd.Series) -> pd.Series:
    """The column as strings, missing values kept; bytes and other objects as Python writes them."""
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("bytes", "mixed"):
        column = column.map(str, na_action="ignore")
    return column.astype("string")
