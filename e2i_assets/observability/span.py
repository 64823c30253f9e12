"""Spans as OpenTelemetry knows them: what was done, within what, from when to when, and how it ended.

A span is a plain record, made when what it is of has ended; what it costs before it is handed over is what
the work pays. Attributes are names, versions, counts and verdicts, never a patient's value.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

Attribute = str | int | float | bool
SECRET_WORDS = re.compile("password|api_key|secret|token|authorization", re.IGNORECASE)
"""An attribute whose name has one of these is told without its value."""
REDACTED = "[redacted]"
LONGEST_TEXT = 1_000
"""Characters of one attribute."""
MOST_TEXT = 4_096
"""Characters of all names and texts of a span; attributes that come after are left out."""
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_MOST = 1 << 64
_NUMBERS = (bool, int, float)


class Span(NamedTuple):
    """One span.

    Attributes:
        trace_id: 32 hexadecimal digits, of all spans of one run or of one request through all that serves it.
        span_id: 16 hexadecimal digits.
        parent_span_id: within which this was done; None of the first of a trace.
        service: whose work it was.
        started_ns, ended_ns: since the epoch.
        error_type: class or kind of what went wrong, never its text; None where nothing did.
        run_id: Dagster's run.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    service: str
    started_ns: int
    ended_ns: int
    error_type: str | None
    attributes: Mapping[str, Attribute | None]
    run_id: str | None = None


class Caller(NamedTuple):
    """Within which span of another process a request was made, and whether that one is recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def caller(traceparent: bytes | None) -> Caller | None:
    """What a `traceparent` header says (https://www.w3.org/TR/trace-context), None where it says nothing."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None or (traceparent and traceparent.startswith(b"00") and match[4]):
        return None
    return Caller(match[1].decode(), match[2].decode(), bool(int(match[3], 16) & 1))


def new_trace_id() -> str:
    """A trace that is nobody else's."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """A span that is nobody else's."""
    return f"{random.getrandbits(64) or 1:016x}"


def sampled(trace_id: str, share: float) -> bool:
    """Whether a trace is among the share of all that are recorded; everybody decides the same of it."""
    return int(trace_id[16:], 16) < share * _MOST


def clean(attributes: Mapping[str, Any]) -> dict[str, Attribute]:
    """Attributes as they may be kept: bounded, none of a secret, none that is nothing."""
    cleaned: dict[str, Attribute] = {}
    room = MOST_TEXT
    for name, value in attributes.items():
        if value is None:
            continue
        if _is_secret(name):
            value = REDACTED
        elif type(value) not in _NUMBERS:
            value = str(value)[:LONGEST_TEXT].replace("\0", "\ufffd")
            room -= len(value)
        room -= len(name)
        if room < 0:
            break
        cleaned[name] = value
    return cleaned


@cache
def _is_secret(name: str) -> bool:
    return SECRET_WORDS.search(name) is not None
