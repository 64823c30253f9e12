"""Columns as numbers without gaps, as estimators take them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from e2i_assets.causal.errors import CausalDataError

MOST_LEVELS = 30
"""A text with more values than this is no category that an estimator could adjust for."""
RARE_LEVEL = 0.01
"""Levels of fewer rows than this share are taken together."""
MOST_RARE = 0.5
"""With more of the rows taken together than this a category would be adjusted for in name alone."""
DISTINCT = 0.25
"""A column of which this share of the rows has a value of its own tells rows apart."""


def is_number(values: pd.Series) -> bool:
    """Whether all that is there is numbers or yes and no, in a column of whatever type."""
    dtype = values.dropna().infer_objects().dtype
    if pd.api.types.is_complex_dtype(dtype):
        return False
    return pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype)


def encoded(values: pd.Series, name: str) -> pd.DataFrame:
    """A covariate as columns of numbers without gaps; none where it has one value alone.

    A gap gets the median and a column of its own that says so; levels of few rows are taken together.
    """
    gap = values.isna()
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.astype("int64").astype(float).where(~gap)
    if is_number(values):
        numbers = pd.Series(values.to_numpy(float, na_value=np.nan), index=values.index)
        if np.isinf(numbers).any():
            raise CausalDataError(f"covariate {name} has values without end")
        table = pd.DataFrame({name: numbers.fillna(numbers.median() if not gap.all() else 0.0)})
    else:
        table = _levels(values, name)
    if gap.any():
        table[f"{name} missing"] = gap.to_numpy(float)
    return table.loc[:, table.nunique() > 1]


def _levels(values: pd.Series, name: str) -> pd.DataFrame:
    texts = values.astype("string").astype(object)
    shares = texts.value_counts(normalize=True)
    if len(shares) > max(MOST_LEVELS, DISTINCT * len(values)):
        raise CausalDataError(
            f"covariate {name} is text with {len(shares)} values in {len(values)} rows",
            "Leave it out where it is a key; otherwise group its values.",
        )
    rare = shares.index[(shares < RARE_LEVEL) | (np.arange(len(shares)) >= MOST_LEVELS)]
    if shares[rare].sum() > MOST_RARE:
        raise CausalDataError(
            f"covariate {name} is text with {len(shares)} values, of which {shares[rare].sum():.0%} of the"
            " rows have rare ones: nothing is left of it to adjust for",
            "Group its values, or give what they stand for as numbers; leave it out where it is a key.",
        )
    grouped = texts.where(~texts.isin(rare), "(rare)").where(texts.notna())
    return pd.get_dummies(grouped, prefix=name, prefix_sep="=", dtype=float)


def standardised(x: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and standard deviation 1; none is constant."""
    if not x.shape[1]:
        return x
    x = x / np.abs(x).max(axis=0)  # the square of a very large or small number is none
    return (x - x.mean(axis=0)) / x.std(axis=0)
