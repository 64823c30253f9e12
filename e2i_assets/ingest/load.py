"""What a source hands to the loader: tables in memory, or parts that arrive one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import polars as pl

from e2i_assets.contracts.base import facts_of
from e2i_assets.contracts.rejected import REJECTED_SCHEMA
from e2i_assets.contracts.tables import TABLES

T = TypeVar("T")

ROW = "_row"
"""Optional column of a part: the row's number in its origin, from 1. Without it rows are counted."""


@dataclass(frozen=True)
class Part:
    """Some rows of a table, in the source's order.

    Attributes:
        frame: the contract's columns in its types, and `ROW` where rows have numbers of their own.
        refused: rows that the source could not turn into the contract's types, as `REJECTED_SCHEMA`; they are
            rejected and count among the rows given.
        origin: the file that they come from, where a table has several.
    """

    frame: pl.DataFrame
    refused: pl.DataFrame | None = None
    origin: str | None = None


Rows = pl.DataFrame | Iterable[pl.DataFrame | Part]
"""A table of a load. An iterable is read once, part by part, so it may be larger than memory."""


@dataclass(frozen=True)
class Load:
    """What is to be loaded.

    Attributes:
        tables: table name to rows, any subset of the contracts.
        source: where the rows come from, for the record.
        origins: table name to the file it was read from, for error messages.
        replaces: `data_source` whose rows this load supersedes: those that it no longer has are removed.
        keeps_rejected: whether a superseded row stays, in its last good version, where the new is rejected;
            it must not where the same key may mean another patient.
        truth: declared truth of generated data.
        notes: what a person should know of how it was read, without values.
        not_collected: table to columns that the source does not have, so that their emptiness is no fault.
    """

    tables: Mapping[str, Rows]
    source: str
    origins: Mapping[str, str] = field(default_factory=dict)
    replaces: str | None = None
    keeps_rejected: bool = True
    truth: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    not_collected: Mapping[str, Collection[str]] = field(default_factory=dict)

    def origin(self, table: str) -> str:
        """The file or generator that a table came from."""
        return self.origins.get(table, self.source)

    @property
    def size(self) -> int | None:
        """Rows of all tables; None when a table is not in memory."""
        rows = list(self.tables.values())
        frames = [r for r in rows if isinstance(r, pl.DataFrame)]
        return sum(frame.height for frame in frames) if len(frames) == len(rows) else None

    def parts(self, table: str) -> Iterator[Part]:
        """The table's rows, part by part, each with its origin and `ROW`."""
        rows = self.tables[table]
        counted: dict[str, int] = {}
        for piece in [rows] if isinstance(rows, pl.DataFrame) else rows:
            part = piece if isinstance(piece, Part) else Part(piece)
            origin = part.origin or self.origin(table)
            refused = part.refused if part.refused is not None else pl.DataFrame(schema=REJECTED_SCHEMA)
            frame = part.frame
            if ROW not in frame.columns:
                frame = frame.with_row_index(ROW, offset=counted.get(origin, 0) + 1)
            counted[origin] = counted.get(origin, 0) + frame.height + refused.height
            yield replace(
                part, frame=frame.with_columns(pl.col(ROW).cast(pl.Int64)), refused=refused, origin=origin
            )


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        load_id: number of the load; None when nothing changed (and nothing new was rejected) or nothing was
            committed.
        rows: rows given, by table.
        changed: rows inserted, updated or removed.
        rejected: rows that broke a rule.
        batches: batches that the rows made.
        resumed: rows that an interrupted run of the same load had staged already.
        partitions: brand/indication pairs that the load touched.
        reasons: why rows were rejected: file, table, column, rule and the first row numbers, never a value.
    """

    load_id: int | None
    rows: dict[str, int]
    changed: dict[str, int]
    rejected: dict[str, int]
    batches: dict[str, int]
    resumed: int
    partitions: tuple[str, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Write:
    """Consecutive rows of a table that are judged and written together: whole batches, of one origin."""

    number: int
    origin: str
    frame: pl.DataFrame
    refused: pl.DataFrame

    @property
    def given(self) -> int:
        """Rows of the source."""
        return self.frame.height + self.refused.height

    def digest(self, table: str) -> str:
        """Hash of the content, the time of arrival left out: the same rows read again have the same."""
        arrival = facts_of(TABLES[table]).ingestion_time
        frame = self.frame.drop(arrival) if arrival else self.frame
        content_hash = hashlib.sha256(self.origin.encode())
        for rows in (frame, self.refused):
            content_hash.update(rows.hash_rows(seed=0).to_numpy().tobytes())
        return content_hash.hexdigest()


def writes(parts: Iterable[Part], size: int) -> Iterator[Write]:
    """Cut parts into writes of `size` rows, wherever the source's own parts begin and end.

    Args:
        parts: as `Load.parts` gives them.
        size: rows of a write; the last one of an origin may be smaller, refused rows may make it larger.
    """
    number, room, pieces = 0, size, list[Part]()
    for part in filter(_height, parts):
        if pieces and part.origin != pieces[0].origin:
            yield _write(number, pieces)
            number, room, pieces = number + 1, size, []
        for piece in _pieces(part, room, size):
            pieces.append(piece)
            room -= _height(piece)
            if room <= 0:
                yield _write(number, pieces)
                number, room, pieces = number + 1, size, []
    if pieces:
        yield _write(number, pieces)


def _pieces(part: Part, room: int, size: int) -> Iterator[Part]:
    """The part cut so that the first piece fills the room left, and each further one a write."""
    start = max(room - (part.refused.height if part.refused is not None else 0), 0)
    first = replace(part, frame=part.frame.head(start))
    if _height(first):
        yield first
    for begin in range(start, part.frame.height, size):
        yield replace(part, frame=part.frame.slice(begin, size), refused=None)


def _height(part: Part) -> int:
    return part.frame.height + (part.refused.height if part.refused is not None else 0)


def _write(number: int, pieces: list[Part]) -> Write:
    refused = [part.refused for part in pieces if part.refused is not None]
    none = pl.DataFrame(schema=REJECTED_SCHEMA)
    return Write(
        number, pieces[0].origin or "", pl.concat([p.frame for p in pieces]), pl.concat([none, *refused])
    )


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made by another thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
