"""What makes two fitted objects the same: their content, whatever bytes a pickle of them happens to have.

Pickles of equal objects differ by which strings and arrays they share, by the padding of records, and by the
order in which attributes were set. Here classes, parameters, arrays and trees are hashed value by value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from copyreg import __newobj__  # type: ignore[attr-defined]
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from e2i_assets.modeling.errors import ModelingError


class UnidentifiableError(ModelingError):
    """An object holds something whose content cannot be told: a local function."""

    code = "unidentifiable"
    next_step = "Use functions and classes of an installed module."


def fingerprint(fitted: Any) -> str:
    """SHA-256, in hex, of a fitted object's content: the same in every process and after a round trip.

    Raises:
        UnidentifiableError: it holds a local function or lambda.
    """
    return _digest(fitted, ()).hex()


def _digest(value: Any, within: tuple[int, ...]) -> bytes:
    digest = hashlib.sha256()
    if id(value) in within:  # what refers to itself is told by how many steps back that is
        digest.update(b"back" + (len(within) - within.index(id(value))).to_bytes(8, "little"))
        return digest.digest()
    for part in _parts(value, (*within, id(value))):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def _parts(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    """The content of a value, its kind first."""
    match value:
        case None | bool() | int() | str() | bytes() | complex() if not isinstance(value, np.generic):
            yield from (type(value).__name__.encode(), repr(value).encode())
        case float() if not isinstance(value, np.generic):
            yield from (b"float", value.hex().encode())
        case np.ndarray() | np.generic():
            yield from _array(np.asarray(value), within)
        case np.dtype():
            yield from (b"dtype", repr(value).encode())
        case list() | tuple():
            yield type(value).__name__.encode()
            yield from _all(value, within)
        case Mapping():
            yield type(value).__name__.encode()
            yield from sorted(_digest(k, within) + _digest(v, within) for k, v in value.items())
        case set() | frozenset():
            yield type(value).__name__.encode()
            yield from sorted(_all(value, within))
        case type() | FunctionType() | BuiltinFunctionType():
            yield from (b"name", _name(value).encode())
        case _:
            yield _name(type(value)).encode()
            yield from _booster(value) or _object(value, within)


def _all(values: Iterable[Any], within: tuple[int, ...]) -> Iterator[bytes]:
    return (_digest(value, within) for value in values)


def _array(array: np.ndarray, within: tuple[int, ...]) -> Iterator[bytes]:
    yield from (b"array", repr(array.shape).encode())
    if array.dtype == object:
        yield from _all(array.ravel().tolist(), within)
    elif array.dtype.names:  # field by field: what lies between fields is whatever memory held before
        for name in array.dtype.names:
            yield name.encode()
            yield from _array(array[name], within)
    else:
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
        plain = array.astype(array.dtype.newbyteorder("<"), copy=False)
        yield from (plain.dtype.str.encode(), plain.tobytes())


def _booster(value: Any) -> list[bytes]:
    """The trees of XGBoost and LightGBM in their own text formats; empty for anything else."""
    module, name = type(value).__module__.partition(".")[0], type(value).__name__
    if (module, name) == ("xgboost", "Booster"):
        trees = json.loads(bytes(value.save_raw("json")))
        del trees["version"]  # of the library that writes it down
        return [json.dumps(trees, sort_keys=True).encode()]
    if (module, name) == ("lightgbm", "Booster"):
        return [value.model_to_string().encode()]
    return []


def _object(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    """What `copy` and `pickle` are told of an object: how it is made, and its state."""
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        yield reduced.encode()
        return
    factory, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    if isinstance(state, dict):
        state = {name: part for name, part in state.items() if name != "_sklearn_version"}
    yield b"" if factory is __newobj__ else _name(factory).encode()
    yield from _all((arguments, state, list(items or ()), list(pairs or ())), within)


def _name(named: Any) -> str:
    name = f"{named.__module__}.{named.__qualname__}"
    if "<" in name:
        raise UnidentifiableError(f"{name} is local")
    return name
