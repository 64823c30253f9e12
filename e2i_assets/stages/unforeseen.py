"""What a library raises inside a stage, told by its type and its place.

The text of an exception often quotes what it failed on ("could not convert string ..."), and Dagster keeps
the text of whatever a step raises, and of what that came from, in its event log. The frames stay: they are
code.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from e2i_assets.errors import E2IError

PACKAGE = Path(__file__).resolve().parent.parent
FREE_OF_DATA = (E2IError, dg.DagsterError, dg.Failure, dg.RetryRequested, OSError, ImportError, MemoryError)
"""Exceptions whose texts name files, sizes, libraries and settings, never a value."""


class Unforeseen(E2IError, RuntimeError):
    """A library failed inside a stage; the message says with what and where, not what the library said."""

    code = "unforeseen"
    next_step = (
        "What the library said is left out, as it may quote a patient's values; the stack names the lines. "
        "Mend what the stage does not expect in the data or in a file of config/, or report the fault."
    )
    on_data = False


@contextmanager
def without_data() -> Iterator[None]:
    """Let no exception out whose text, or whose cause's text, may quote data.

    Raises:
        Unforeseen: instead of an exception of a library, with its frames.
    """
    try:
        yield
    except FREE_OF_DATA as error:
        _cut(error)
        raise
    except Exception as error:  # noqa: BLE001 -- whatever it is, its text stays here
        raise _without_words(error).with_traceback(error.__traceback__) from None


def _without_words(error: Exception) -> Unforeseen:
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is here
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    places = dict.fromkeys(
        f"{Path(frame.filename).name}:{frame.lineno}" for frame in (*ours[-1:], frames[-1])
    )
    return Unforeseen(f"{type(error).__name__} at {', in '.join(places)}.")


def _cut(error: BaseException) -> None:
    """Take from an exception what it came from, at the first that may quote data."""
    while came_from := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        if not isinstance(came_from, FREE_OF_DATA):
            error.__cause__ = None  # this hides the context, too
            return
        error = came_from
