"""The trace of a run: its stages within it, and within each its gates and trials."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

from e2i_assets.observability.span import Attribute, Span, new_span_id, sampled

SERVICE = "e2i"
"""Whose work spans of runs are; services have their own names."""


def trace_id_of(run_id: str) -> str:
    """The trace of a run of Dagster: its id without dashes, so that whoever has the one has the other."""
    try:
        return UUID(run_id).hex
    except ValueError:
        return hashlib.sha256(run_id.encode()).hexdigest()[:32]


class OpenSpan:
    """Something that is being done; it is handed over when it is done.

    Attributes:
        error_type: what went wrong, as a class or a code; to be set, where it is no exception that tells it.
    """

    def __init__(
        self,
        trace: Trace,
        name: str,
        parent: str | None,
        attributes: dict[str, Any],
        started_ns: int | None = None,
    ) -> None:
        self._trace, self._name, self._parent, self._attributes = trace, name, parent, attributes
        self._started_ns = started_ns or time.time_ns()
        self.span_id = new_span_id()
        self.error_type: str | None = None

    def set(self, **attributes: Attribute | None) -> None:
        """Add facts: names, versions, counts, verdicts; never a patient's value."""
        self._attributes |= attributes

    def child(self, name: str, **attributes: Attribute | None) -> AbstractContextManager[OpenSpan]:
        """What is done within this one."""
        return self._trace.within(self.span_id, name, attributes)

    def record(
        self,
        name: str,
        started: float,
        seconds: float,
        error_type: str | None,
        **attributes: Attribute | None,
    ) -> None:
        """Something that was done within this one, maybe elsewhere, and is over.

        Args:
            started: seconds since the epoch.
        """
        over = OpenSpan(self._trace, name, self.span_id, attributes, int(1e9 * started))
        over.error_type = error_type
        over.end(int(1e9 * (started + seconds)))

    def end(self, ended_ns: int | None = None) -> None:
        """Hand it over, ended now unless said otherwise."""
        trace, ended_ns = self._trace, ended_ns or time.time_ns()
        trace.hand_over(
            Span(
                trace.trace_id, self.span_id, self._parent, self._name, SERVICE, self._started_ns, ended_ns,
                self.error_type, self._attributes, trace.run_id,
            )
        )  # fmt: skip


class Trace:
    """All spans of a run; those that go wrong are kept also where the run is not among those traced.

    Attributes:
        trace_id: see `trace_id_of`.
        run_id: of the run.
        kept: whether all of its spans are.
    """

    def __init__(
        self, run_id: str, share: float, offer: Callable[[Span], None], **attributes: Attribute
    ) -> None:
        """Begin.

        Args:
            share: of all runs, that are traced; none at 0, not even what goes wrong.
            offer: takes each span when it has ended.
            attributes: of the run.
        """
        self.trace_id, self.run_id, self._offer = trace_id_of(run_id), run_id, offer
        self._on, self.kept = share > 0, sampled(self.trace_id, share)
        self._run = OpenSpan(self, "run", None, dict(attributes))
        self._run.span_id = self.trace_id[:16]  # known to every process of the run

    def stage(self, name: str, **attributes: Attribute | None) -> AbstractContextManager[OpenSpan]:
        """The making of an asset."""
        return self.within(self._run.span_id, name, attributes)

    def end(self) -> None:
        """The run is over; it went wrong where a stage did."""
        self._run.end()

    @contextmanager
    def within(self, parent: str, name: str, attributes: dict[str, Any]) -> Iterator[OpenSpan]:
        """A span within another, from now until it is left."""
        span = OpenSpan(self, name, parent, attributes)
        try:
            yield span
        except GeneratorExit:
            raise
        except BaseException as error:
            span.error_type = span.error_type or type(error).__name__
            raise
        finally:
            span.end()

    def hand_over(self, span: Span) -> None:
        """Give a span to whoever keeps it."""
        if span.parent_span_id == self._run.span_id:
            self._run.error_type = self._run.error_type or span.error_type
        if self.kept or (self._on and span.error_type):
            self._offer(span)
