"""What a fitted pipeline costs to serve, on this machine: time of one row, and memory of the loaded model."""

from __future__ import annotations

import ctypes
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import psutil

from e2i_assets.modeling.selection.one_row import asked, compiled

ASKED = 50
"""Rows that are asked one by one; a model answers so many in a few milliseconds."""
GIBIBYTE = 2**30


@dataclass(frozen=True)
class Measurement:
    """What one model costs.

    Attributes:
        latency_ms: median time of one row through what a bundle answers single rows with.
        memory_gb: GiB that loading the model and asking it once adds to a process which has its libraries.
    """

    latency_ms: float
    memory_gb: float


def measure(pipeline: Any, method: str, X: pd.DataFrame) -> Measurement:
    """Load a pipeline as a worker does, and ask it some rows.

    Args:
        pipeline: fitted.
        method: `predict_proba`, `predict` or `effect`.
        X: rows of raw features to ask; the first `ASKED` are taken.
    """
    import joblib

    packed = io.BytesIO()
    joblib.dump(pipeline, packed)
    packed.seek(0)
    rows = plain_rows(X.head(ASKED))
    before = _allocated()
    loaded = joblib.load(packed)
    try:
        answer = compiled(loaded, method)
    except NotImplementedError:
        whole, columns = asked(loaded, method), list(X)
        answer = lambda row: whole(pd.DataFrame([row], columns=columns))  # noqa: E731
    answer(rows[0])
    taken = _allocated() - before
    times = []
    for row in rows:
        start = time.perf_counter()
        answer(row)
        times.append(time.perf_counter() - start)
    return Measurement(1000 * float(np.median(times)), max(0, taken) / GIBIBYTE)


def plain_rows(X: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Rows as clients send them: None where a value is missing."""
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in X.to_dict("records")
    ]


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library."""

    _fields_: ClassVar[Sequence[tuple[str, Any]]] = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
            "keepcost",
        )
    ]  # fmt: skip


def _allocated() -> int:
    """Bytes in use by NumPy and by libraries in C, boosters' trees among them.

    By the C library's own account where there is one (glibc 2.33): what is resident would not grow where a
    model takes room that fitting it has left. Elsewhere what is resident.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return psutil.Process().memory_info().rss
    libc.mallinfo2.restype = _Mallinfo
    now = libc.mallinfo2()
    return now.uordblks + now.hblkhd
