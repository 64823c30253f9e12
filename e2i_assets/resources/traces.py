"""The trace of the run that is going on, and where its spans go."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.observability.otlp import parse_headers
from e2i_assets.observability.recorder import Recorder
from e2i_assets.observability.span import Span
from e2i_assets.observability.trace import Trace
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import url_for

logger = logging.getLogger(__name__)


def run_traces(here: Settings) -> dg.ResourceDefinition:
    """A resource with one `Trace` for each run, that ends with it."""

    @dg.resource(description="The trace of the run")
    def trace_of_run(context: dg.InitResourceContext) -> Iterator[Trace]:
        run, spans = context.run, _Spans(here)
        partition = run.tags.get("dagster/partition") if run else None
        facts = {"job": run.job_name if run else "", "partition": partition or ""}
        trace = Trace(run.run_id if run else "", here.trace_runs if run else 0, spans.offer, **facts)
        try:
            yield trace
        finally:
            trace.end()
            spans.close()

    return trace_of_run


class _Spans:
    """Where spans of a run go; nothing is opened before there is one."""

    def __init__(self, here: Settings) -> None:
        self._here = here
        self._recorder: Recorder | None = None

    def offer(self, span: Span) -> None:
        """Hand over a span; comes back at once."""
        if self._recorder is None:
            headers = parse_headers(self._here.otlp_headers.get_secret_value())
            self._recorder = Recorder(self._database(), self._here.otlp_endpoint, headers, logger)
        self._recorder.offer(span)

    def _database(self) -> str | None:
        try:
            return url_for(self._here, "e2i")
        except E2IError as error:  # the stage whose span this is has failed by it, and says so
            logger.warning("spans are not kept: %s", error)
            return None

    def close(self) -> None:
        """Hand on what waits, as far as that is soon done."""
        if self._recorder:
            self._recorder.close()
