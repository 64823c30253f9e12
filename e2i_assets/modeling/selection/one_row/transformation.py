"""What a fitted preprocessor makes of one row, as plain arrays and tables.

A copy of this file travels inside every bundle: it knows no other module of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray
    Row = Mapping[str, float | bool | str | None]

UNKNOWN = "\x00a level that no training row has"


def no_form(part: Any) -> Any:
    """What has no quick form; raises NotImplementedError."""
    raise NotImplementedError(f"{type(part).__name__} has no quick form")


def transformation(preprocessor: Any) -> Callable[[Row], Vector]:
    """From named features to what the estimator takes, shape (outputs,)."""
    import numpy as np

    if type(preprocessor).__name__ != "ColumnTransformer":
        no_form(preprocessor)
    parts = []
    for _, transformer, columns in preprocessor.transformers_:
        if transformer == "drop":
            continue
        steps = [step for _, step in getattr(transformer, "steps", [("", transformer)])]
        table = any(hasattr(step, "categories_") for step in steps)
        parts.append((_levels if table else _numbers)(transformer, steps, list(columns)))
    if len(parts) == 1:
        return parts[0]
    return lambda row: np.concatenate([part(row) for part in parts])


def _numbers(_: Any, steps: Sequence[Any], columns: Sequence[str]) -> Callable[[Row], Vector]:
    """Columns of numbers through imputers and scalers, whose own arithmetic is repeated."""
    import numpy as np

    known = {"SimpleImputer": _imputer, "StandardScaler": _scaler}
    stages = [known.get(type(step).__name__, no_form)(step) for step in steps]

    def transform(row: Row) -> Vector:
        values = np.array([row[name] for name in columns], dtype=np.float64)
        for stage in stages:
            values = stage(values)
        return values

    return transform


def _imputer(imputer: Any) -> Callable[[Vector], Vector]:
    import numpy as np

    # Another mark than NaN is one that a row of numbers cannot hold.
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        no_form(imputer)
    fill = np.asarray(imputer.statistics_, dtype=np.float64)
    columns_out = np.arange(len(fill)) if imputer.keep_empty_features else np.flatnonzero(~np.isnan(fill))
    fill = np.nan_to_num(fill)
    marked = imputer.indicator_.features_ if imputer.add_indicator else np.array([], dtype=int)
    if len(columns_out) == len(fill) and not len(marked):
        return lambda values: np.where(np.isnan(values), fill, values)

    def transform(values: Vector) -> Vector:
        missing = np.isnan(values)
        return np.concatenate([np.where(missing, fill, values)[columns_out], missing[marked]])

    return transform


def _scaler(scaler: Any) -> Callable[[Vector], Vector]:
    mean = scaler.mean_ if scaler.with_mean else 0.0
    scale = scaler.scale_ if scaler.with_std else 1.0
    return lambda values: (values - mean) / scale


def _levels(transformer: Any, steps: Sequence[Any], columns: Sequence[str]) -> Callable[[Row], Vector]:
    """Columns of levels through an encoder that treats each by itself: what it makes of every level is asked
    once, and looked up from then on.
    """
    import numpy as np
    import pandas as pd

    encoder = next(step for step in steps if hasattr(step, "categories_"))
    if not all(isinstance(level, str) for known in encoder.categories_ for level in known):
        raise NotImplementedError("levels that are no text have no quick form")
    levels = [[UNKNOWN, None, *known] for known in encoder.categories_]
    usual = [known[-1] for known in levels]
    rows = [
        [*usual[:place], level, *usual[place + 1 :]] for place, known in enumerate(levels) for level in known
    ]
    made = transformer.transform(pd.DataFrame(rows, columns=list(columns), dtype=object))
    made = np.asarray(made.toarray() if hasattr(made, "toarray") else made, dtype=np.float64)
    base, tables, first = made[len(levels[0]) - 1], [], 0
    for name, known in zip(columns, levels, strict=True):
        of_column = made[first : first + len(known)]
        first += len(known)
        places = np.flatnonzero((of_column != of_column[0]).any(axis=0))
        table = dict(zip(known, of_column[:, places], strict=True))
        tables.append((name, _slice(places), table, table[UNKNOWN]))

    def transform(row: Row) -> Vector:
        values = base.copy()
        for name, places, table, unknown in tables:
            values[places] = table.get(row[name], unknown)
        return values

    return transform


def _slice(places: Vector) -> Any:
    """Neighbours as a slice, which is written to faster."""
    first, end = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
    return slice(first, end) if end - first == len(places) else places
