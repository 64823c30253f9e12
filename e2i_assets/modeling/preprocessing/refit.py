"""Is a preprocessor the one that train alone gives? It is fitted again and all it has learnt is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class FitCheck:
    """How many features' statistics were compared, and what is wrong with them, in words."""

    compared: int
    violations: tuple[str, ...]


def refit_check(
    preprocessor: BaseEstimator,
    train: pd.DataFrame,
    fit: Callable[[pd.DataFrame], BaseEstimator] | None = None,
) -> FitCheck:
    """Whether the preprocessor is the one that `train` alone gives, whatever transformers it is made of.

    One that draws at random needs a `random_state`: what cannot be repeated cannot be shown to be of train.

    Args:
        fit: makes and fits one anew; a clone is fitted where it is left out, which cannot tell where levels
            come from that were given as a parameter.

    Returns:
        A check without violations when everything learnt agrees (relative tolerance 1e-9) and every feature
        has a value in train to take it from.
    """
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(preprocessor)
    except NotFittedError:
        return FitCheck(0, ("preprocessor: has not been fitted",))
    if not hasattr(preprocessor, "feature_names_in_"):
        return FitCheck(0, ("preprocessor: was not fitted on named columns",))
    names = list(preprocessor.feature_names_in_)
    absent = sorted(set(names) - set(train.columns))
    if absent:
        return FitCheck(0, (f"train: columns {', '.join(absent)} of the preprocessor are missing",))
    given_levels = () if fit else _given_levels(preprocessor)
    again = fit(train) if fit else clone(preprocessor).fit(train[names])
    empty = [f"train: feature {name} has no value" for name in names if train[name].isna().all()]
    different = [f"{path}: is not what train alone gives" for path in _differences("", preprocessor, again)]
    return FitCheck(len(names), (*empty, *given_levels, *dict.fromkeys(different)))


def _given_levels(preprocessor: BaseEstimator) -> Iterator[str]:
    """Where levels are a parameter: a clone has them as well, whatever they were taken from."""
    for name, value in preprocessor.get_params().items():
        if name.rsplit("__", 1)[-1] == "categories" and not isinstance(value, str):
            yield f"{name}: levels were given, so that refitting cannot show that they are of train"


def _differences(path: str, fitted: Any, expected: Any, columns: Sequence[str] = ()) -> Iterator[str]:
    """Where two fitted objects differ, without the values (levels and medians may be sensitive).

    Args:
        columns: of the transformer that they belong to, for the names of what is one per column.
    """
    if fitted is expected or isinstance(fitted, np.random.RandomState):
        return
    if type(fitted) is not type(expected):
        yield path
    elif isinstance(fitted, Mapping):
        yield from _parts(path, fitted, expected, columns)
    elif isinstance(fitted, np.ndarray) and fitted.dtype != object:
        yield from _arrays(path, fitted, expected, columns)
    elif isinstance(fitted, list | tuple | np.ndarray):
        yield from _items(path, list(fitted), list(expected), columns)
    elif isinstance(fitted, float):
        if not _close(fitted, expected):
            yield path
    elif hasattr(fitted, "__dict__"):
        yield from _parts(path, vars(fitted), vars(expected), columns)
    elif (
        not (pd.api.types.is_scalar(fitted) and pd.isna(fitted) and pd.isna(expected)) and fitted != expected
    ):
        yield path


def _parts(
    path: str, fitted: Mapping[Any, Any], expected: Mapping[Any, Any], columns: Sequence[str]
) -> Iterator[str]:
    for key in sorted(set(fitted) | set(expected), key=str):
        inner = path if key in ("steps", "transformers_") else f"{path}.{key}".lstrip(".")
        yield from _differences(inner, fitted.get(key), expected.get(key), columns)


def _items(
    path: str, fitted: Sequence[Any], expected: Sequence[Any], columns: Sequence[str]
) -> Iterator[str]:
    if len(fitted) != len(expected):
        yield path
        return
    for i, (a, b) in enumerate(zip(fitted, expected, strict=True)):
        if isinstance(a, tuple) and a and isinstance(a[0], str):  # a step, or a transformer and its columns
            named = a[2] if len(a) == 3 and isinstance(a[2], list) else columns
            yield from _differences(f"{path}.{a[0]}".lstrip("."), a[1], b[1], named)
        else:
            yield from _differences(f"{path}.{columns[i] if len(columns) == len(fitted) else i}", a, b)


def _arrays(path: str, fitted: np.ndarray, expected: np.ndarray, columns: Sequence[str]) -> Iterator[str]:
    if fitted.shape != expected.shape or fitted.dtype != expected.dtype:
        yield path
        return
    differ = ~_close(fitted, expected) if fitted.dtype.kind == "f" else fitted != expected
    if differ.shape == (len(columns),):
        yield from (f"{path}.{columns[i]}" for i in np.flatnonzero(differ).tolist())
    elif differ.any():
        yield path


def _close(fitted: Any, expected: Any) -> Any:
    return np.isclose(fitted, expected, rtol=1e-9, atol=1e-12, equal_nan=True)
