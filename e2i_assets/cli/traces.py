"""`e2i traces`: where the time of a run went, or what took longest lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.errors import E2IError
from e2i_assets.warehouse.queries.spans import slowest_operations, spans_of_run

HOURS = 24
SHOWN = 30
MINIMUM_ID = 8
"""Characters of a run's id, as Dagit shows it."""


class NoTrace(E2IError, LookupError):
    """A run that nothing is kept of."""

    code = "no_trace"


def run_traces(run_id: str | None, *, as_json: bool) -> int:
    """Print the spans of a run as a tree, or, without one, the slowest operations of a day.

    Raises:
        NoTrace: nothing is kept of the run.
    """
    _, warehouse = open_session()
    if run_id is None:
        operations = slowest_operations(warehouse, HOURS)
        if as_json:
            print_json({"hours": HOURS, "operations": [dict(one) for one in operations]})
        elif operations:
            _show_operations(operations)
        else:
            say(f"nothing was traced in the last {HOURS} hours")
        return 0
    spans = spans_of_run(warehouse, run_id) if len(run_id) >= MINIMUM_ID else []
    if not spans:
        raise NoTrace(
            f"no span of a run {run_id!r} is kept.",
            f"Give the id that Dagit shows, at least {MINIMUM_ID} characters; spans are kept for 30 days, "
            "and of a run that E2I_TRACE_RUNS leaves out only those that went wrong.",
        )
    if as_json:
        print_json({"spans": [dict(span) for span in spans]})
        return 0
    rows = [
        ["  " * depth + span["operation"], f"{span['duration_ms'] / 1000:,.2f} s", _outcome(span)]
        for depth, span in _tree(spans)
    ]
    show_table(f"Trace {spans[0]['trace_id']}", ["what", "took", "outcome"], rows)
    return 0


def _show_operations(operations: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            one["operation"], one["service"], f"{one['spans']:,}",
            *(f"{one[f'p{share}_ms']:,.1f}" for share in (50, 95, 99)), f"{float(one['error_rate']):.1%}",
        ]
        for one in operations[:SHOWN]
    ]  # fmt: skip
    columns = ["what", "whose", "spans", "p50 ms", "p95 ms", "p99 ms", "errors"]
    show_table(f"Slowest of the last {HOURS} hours", columns, rows)


def _tree(spans: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
    """Each span after the one that it is within, with its depth; what has lost its parent is on top."""
    known = {span["span_id"] for span in spans}
    within: dict[str | None, list[Mapping[str, Any]]] = {}
    for span in spans:
        parent = span["parent_span_id"]
        within.setdefault(parent if parent in known else None, []).append(span)

    def below(parent: str | None, depth: int) -> list[tuple[int, Mapping[str, Any]]]:
        return [
            line
            for span in within.get(parent, ())
            for line in ((depth, span), *below(span["span_id"], depth + 1))
        ]

    return below(None, 0)


def _outcome(span: Mapping[str, Any]) -> str:
    attributes = span["attributes"]
    outcome = attributes.get("outcome") or attributes.get("state", "").lower()
    return " ".join(filter(None, [outcome, span["error_type"]]))
