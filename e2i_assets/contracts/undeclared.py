"""Columns that no contract and no cohort file has, or says enough of: what to say of them."""

from __future__ import annotations

import json
import re

import polars as pl

_ROW_NUMBER = re.compile(r"Unnamed: ?\d+(\.\d+)?")
_INDEX = ("index", "level_0")
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")


def is_row_number(values: pl.Series) -> bool:
    """Whether a column is the index that pandas writes beside a table: by its name, or `index` from 0 on."""
    if _ROW_NUMBER.fullmatch(values.name):
        return True
    if values.name not in _INDEX or not values.dtype.is_integer() or values.null_count():
        return False
    return values.n_unique() == len(values) and values.min() == 0 and values.max() == len(values) - 1


def how_to_declare(values: pl.Series) -> str:
    """The line that declares a column that is not in the cohort file, or what else to do with it."""
    if is_row_number(values):
        return "row numbers that pandas wrote; name it under `leave_out` in the mapping"
    name, dtype = _key(values.name), _dtype(values.dtype)
    return (
        f"not in the cohort file, so it is no feature; add `{name}: {{dtype: {dtype}, available_at: index}}` "
        f"to its attributes if it is known at the index date, `{name}: {{dtype: {dtype}, role: post_outcome, "
        "available_at: outcome}` if only afterwards"
    )


def how_to_date(name: str) -> str:
    """The line that says when an attribute is known of which the cohort file does not say it."""
    return (
        "nobody has said when it is known, so the leakage audit judges it by figures and name; add "
        f"`available_at: index` to its attribute {_key(name)} if it is known at the index date, "
        "`role: post_outcome` and `available_at: outcome` if only afterwards"
    )


def _key(name: str) -> str:
    """A name as a key of YAML."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _dtype(dtype: pl.DataType) -> str:
    if dtype == pl.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    return "date" if dtype == pl.Date else "string"
