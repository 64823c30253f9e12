"""One value, one spelling: identifiers and labels as text, whatever a file or a library made of them.

An identifier is its text without surrounding blanks and without the `.0` that a detour through floating point
adds: 17, 17.0, "17", " 17" and "17.0" are one patient. Leading zeros are part of it: "017" is another. A
column of whole numbers has lost such zeros if there were any, so whoever compares it with text must say so.

A label is its number where it is one: 1, 1.0, True, "1", "1.0" and "true" are one outcome.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import pandas as pd
import polars as pl

BLANKS = " \t\r\n\f\v\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u2060\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200E))
)
"""Spaces of every width, none among them."""
WHOLE = r"^([+-]?\d+)\.0*$"
_NUMBER = r"[+-]?(?:0|[1-9]\d*)(?:\.\d*)?"
_ZEROS = r"(\.\d*?)0+$"
_PADDED = re.compile(r"(?<![\d.])0+(?=\d)")
_TRUTH = {"true": "1", "false": "0"}
_EXACT = 2**63


def as_text(column: pd.Series) -> pd.Series:
    """The column as strings, missing values kept; bytes and other objects as Python writes them."""
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("bytes", "mixed"):
        column = column.map(str, na_action="ignore")
    return column.astype("string")


def as_key(ids: pd.Series) -> pd.Series:
    """Identifiers in one spelling, as strings; blank ones are missing."""
    if pd.api.types.is_float_dtype(ids) and (ids.dropna().abs() < _EXACT).all():
        ids = ids.astype("Float64")
        if (ids.dropna() % 1 == 0).all():
            ids = ids.astype("Int64")
    if pd.api.types.is_integer_dtype(ids):  # digits have one spelling
        return as_text(ids)
    codes, values = pd.factorize(as_text(ids))
    texts = pd.Series(values, dtype="string").str.normalize("NFC").str.strip(BLANKS)
    texts = texts.str.replace(WHOLE, r"\1", regex=True)
    return _spread(texts.mask(texts == ""), codes, ids)


def apart_by_zeros(one: Collection[str], other: Collection[str]) -> int:
    """Keys of two splits that differ in leading zeros alone, where only one of the two writes such zeros.

    `00270` and `270` are two patients, unless one side has lost its zeros: the spelling does not tell.
    """
    if any(map(_PADDED.search, one)) == any(map(_PADDED.search, other)):
        return 0
    only = (set(one).difference(other), set(other).difference(one))
    bare = [{_PADDED.sub("", key) for key in keys} for keys in only]
    return len(bare[0] & bare[1])


def as_label(labels: pd.Series) -> pd.Series:
    """Labels in one spelling, as strings; missing values kept."""
    codes, values = pd.factorize(as_text(labels))
    texts = pd.Series(values, dtype="string").str.normalize("NFC").str.strip(BLANKS)
    texts = texts.str.lower().map(_TRUTH).astype("string").fillna(texts)
    plain = texts.str.replace(_ZEROS, r"\1", regex=True).str.rstrip(".").str.lstrip("+")
    return _spread(texts.mask(texts.str.fullmatch(_NUMBER), plain.replace("-0", "0")), codes, labels)


def key(ids: pl.Series) -> pl.Series:
    """Identifiers of type String in one spelling; blank ones are null."""
    texts = ids.str.normalize("NFC").str.strip_chars(BLANKS).str.replace(WHOLE, "${1}")
    return texts.set(texts == "", None)


def _spread(texts: pd.Series, codes: np.ndarray, like: pd.Series) -> pd.Series:
    values = texts.array.take(codes, allow_fill=True)
    return pd.Series(values, index=like.index, name=like.name, dtype="string")
