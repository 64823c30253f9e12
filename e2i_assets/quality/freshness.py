"""Timeliness: how old the newest record of a table is on the day of judgement, and how soon its rows arrived.

A report keeps the day of the newest record and the verdict, never an age: it stays the same from day to day
until the verdict changes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from e2i_assets.contracts.base import facts_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.quality.config import QualityConfig

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Freshness:
    """Both figures of a table's timeliness, of which the worse counts.

    Attributes:
        newest: day (UTC) on which the source recorded the newest row; None where no row has a time with zone.
        fresh_until: last day on which that is not stale.
        stale: whether it was, on the day of judgement.
        late: rows that did not arrive within the allowed days.
    """

    newest: dt.date | None
    fresh_until: dt.date | None
    stale: bool
    late: int


def judge_freshness(table: str, frame: pl.DataFrame, max_days: int, *, stale: bool) -> Freshness | None:
    """Both figures; None for a table without rows, or whose rows do not say when they were recorded."""
    facts = facts_of(TABLES[table])
    if not (facts.event_time and facts.ingestion_time and frame.height):
        return None
    newest = newest_record(table, frame)
    return Freshness(
        newest=newest,
        fresh_until=newest + dt.timedelta(days=max_days) if newest else None,
        stale=stale,
        late=frame.height - _in_time(frame, facts.event_time, facts.ingestion_time, max_days),
    )


def newest_record(table: str, frame: pl.DataFrame) -> dt.date | None:
    """Day (UTC) on which the source recorded the newest row."""
    time = facts_of(TABLES[table]).event_time
    if not (time and has_zone(frame, time)):
        return None
    newest = frame.select(pl.col(time).max().dt.convert_time_zone("UTC").dt.date()).item()
    assert newest is None or isinstance(newest, dt.date)
    return newest


def is_stale(newest: dt.date, day: dt.date, max_days: int) -> bool:
    """Whether the newest record is older than allowed, or from the future and no measure of age.

    Clocks of sources may be up to a day ahead of UTC.
    """
    return not -ONE_DAY <= day - newest <= dt.timedelta(days=max_days)


def stale_tables(newest: Mapping[str, str | None], day: dt.date, quality: QualityConfig) -> list[str]:
    """Tables that are stale on a day: all of the day that a report depends on.

    Args:
        newest: table to the day of its newest record in ISO form, None where it is not known.
    """
    if "timeliness" not in quality.asked:
        return []
    known = {table: dt.date.fromisoformat(newest) for table, newest in newest.items() if newest}
    return sorted(t for t, recorded in known.items() if is_stale(recorded, day, quality.max_staleness_days))


def has_zone(frame: pl.DataFrame, name: str) -> bool:
    """Whether the frame has the column, as times with a zone."""
    dtype = frame.schema.get(name)
    return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None


def _in_time(frame: pl.DataFrame, event: str, arrival: str, max_days: int) -> int:
    """Rows that arrived within the allowed days, on the clock of UTC whatever zones the two times are in.

    A time without a zone cannot be placed, and no row arrives before it was recorded: neither is in time.
    """
    if not (has_zone(frame, event) and has_zone(frame, arrival)):
        return 0
    delay = pl.col(arrival).dt.convert_time_zone("UTC") - pl.col(event).dt.convert_time_zone("UTC")
    in_time = delay.is_between(pl.duration(days=0), pl.duration(days=max_days))
    return int(frame.select(in_time.fill_null(False).sum()).item())
