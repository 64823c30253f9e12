"""One library asked for an effect, in a process apart: one that hangs is ended, one that crashes takes
nothing with it, and both have failed.
"""

from __future__ import annotations

import importlib
import threading
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np

from e2i_assets.causal.data import CausalData
from e2i_assets.causal.libraries import LEVEL_Z, Answer, Library
from e2i_assets.causal.question import Question
from e2i_assets.causal.report import Effect

KNOWN_WARNINGS = (
    "The design matrix is rank-deficient",  # levels of a covariate add up to one: predictions are the same
    r"\d+ variables are assumed unobserved",  # the graph names causes that no column measures
)


@dataclass(frozen=True)
class LibraryResult:
    """What one library said.

    Attributes:
        version: installed one; empty where it is not there.
        seconds: of the estimate alone, wall time; imports are not counted.
        effect: none where it failed.
        error: kind of error it failed with; empty where it has an effect.
        detail: the error's own words, which may speak of the data: for whoever asked, not for a record.
    """

    library: str
    version: str
    method: str
    seconds: float
    effect: Effect | None = None
    error: str = ""
    detail: str = ""


IDLE = 120
"""Seconds that the process waits for the next question: what it has imported serves that as well."""


class _Process:
    """The process that libraries are asked in, one at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.executor: Any = None

    def ask(self, name: str, library: Library, question: Question, timeout: float) -> LibraryResult:
        # Of joblib: unlike the standard one it neither runs the user's script again nor copies threads.
        from joblib.externals.loky import ProcessPoolExecutor

        with self.lock:
            if self.executor is None:
                self.executor = ProcessPoolExecutor(max_workers=1, timeout=IDLE)
            started, answer = time.perf_counter(), None
            try:
                answer = self.executor.submit(ask, name, library, question).result(timeout)
                return answer
            except TimeoutError:
                error, detail = "TimeoutError", f"no answer within {timeout:g} s; its process was ended"
            except BrokenProcessPool:
                error, detail = "Crash", "its process ended without an answer"
            finally:
                if answer is None:
                    self.executor.shutdown(kill_workers=True)
                    self.executor = None
            return replace(
                _unanswered(name, library, question), version=metadata.version(library.distribution),
                seconds=time.perf_counter() - started, error=error, detail=detail,
            )  # fmt: skip


_PROCESS = _Process()


def ask_apart(name: str, library: Library, question: Question, timeout: float) -> LibraryResult:
    """`ask` in the process apart; a library that has no answer within so many seconds has failed."""
    return _PROCESS.ask(name, library, question, timeout)


def _unanswered(name: str, library: Library, question: Question) -> LibraryResult:
    dose = question.data.treatment_kind == "continuous"
    return LibraryResult(name, "", library.dose_method if dose else library.method, 0.0)


def ask(name: str, library: Library, question: Question) -> LibraryResult:
    """Let one library estimate; whatever goes wrong in it is its failure alone."""
    from matplotlib import rc_context
    from threadpoolctl import threadpool_limits

    result = _unanswered(name, library, question)
    started = time.perf_counter()
    try:
        result = replace(result, version=metadata.version(library.distribution))
        with rc_context():  # CausalML sets a style for all pictures of the process
            importlib.import_module(library.module)
        started = time.perf_counter()
        with threadpool_limits(limits=1), warnings.catch_warnings():
            for known in KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=known)
            effect = _effect(library.estimate(question), question.data)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the library has failed, and says so
        result = replace(result, error=type(error).__name__, detail=str(error).partition("\n")[0])
    else:
        result = replace(result, effect=effect)
    return replace(result, seconds=time.perf_counter() - started)


def _effect(answer: Answer, data: CausalData) -> Effect:
    """An answer that can be one.

    Raises:
        ValueError: it is not finite, its interval has no width or leaves the estimate out, or it is more than
            all that the outcome spans.
    """
    from scipy.stats import norm

    estimate, low, high = answer
    if not np.isfinite(answer).all():
        raise ValueError("the estimate or its interval is not finite")
    if not low <= estimate <= high or low == high:
        raise ValueError("the interval has no width or does not hold the estimate")
    if data.treatment_kind == "binary" and abs(estimate) > np.ptp(data.y):
        raise ValueError("the estimate is more than the outcome spans")
    standard_error = (high - low) / (2 * LEVEL_Z)
    return Effect(estimate, low, high, float(2 * norm.sf(abs(estimate) / standard_error)), standard_error)
