"""What a cohort can be made of, behind one face: Ibis tables to compute on, and a way to hand rows back.

Frames in memory run on Polars; a Parquet file runs on DuckDB, which need not hold it; an Ibis table runs
where it lives and stays there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from e2i_assets.cohorts.attrition import MaskCount
from e2i_assets.cohorts.config import EVENT_COST, EVENT_DATE, EVENT_KEY, JOURNEY_KEY, RECORDED, CohortConfig
from e2i_assets.cohorts.criteria import Rule
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.cohorts.iso_days import ISO, require_read
from e2i_assets.cohorts.masks import eligible, evaluated, tally, with_flags
from e2i_assets.cohorts.parquet import fetched, open_parquet, progress_told, require_nan_kept

if TYPE_CHECKING:
    import ibis.expr.types as ir

ROW = "__row__"
MEMORY = "1500MB"
"""What DuckDB holds of files before it spills to disk, so that 100 million rows and members fit in 4 GB."""
Frame: TypeAlias = pl.DataFrame | pd.DataFrame | pa.Table


class Source(Protocol):
    """Journeys to choose from, and the events around them."""

    @property
    def journeys(self) -> ir.Table:
        """The columns that rules read, at least."""

    @property
    def events(self) -> ir.Table | None:
        """The events in the same place, each once, where the definition reads any."""

    def evaluate(self, table: ir.Table, rules: Sequence[Rule]) -> tuple[Any, list[MaskCount]]:
        """Rows of `table` without a failed rule, in the kind that was given, and the counts of all masks.

        Raises:
            CohortError: CC_004, journey keys are null or repeated.
        """


@dataclass(frozen=True)
class FrameSource:
    """Frames in memory; only the columns that rules read are converted, rows are taken from the original.

    Attributes:
        read: the columns that rules read, and the journey key where it is there.
        repeated: rows without a journey key of their own, counted beside the other work.
        lazy: the frame was a lazy one, so members are.
    """

    cohort_id: str
    frame: Frame
    read: pl.DataFrame
    read_events: pl.DataFrame | None
    repeated: Future[int]
    lazy: bool

    @cached_property
    def journeys(self) -> ir.Table:
        """The read columns and the row number, on Polars."""
        return self._engine.create_table("journeys", self.read.with_row_index(ROW))

    @cached_property
    def events(self) -> ir.Table | None:
        """The read columns, on Polars."""
        return None if self.read_events is None else self._engine.create_table("events", self.read_events)

    def evaluate(self, table: ir.Table, rules: Sequence[Rule]) -> tuple[Any, list[MaskCount]]:
        """Members in the order of the frame, its dtypes untouched."""
        flags = self._engine.compile(with_flags(table, rules, [ROW]))
        if self.read_events is not None:  # a join would multiply the rows of a repeated key
            _require_distinct(self.repeated.result(), self.cohort_id)
        numbers, counts = evaluated(flags, rules, ROW)
        _require_distinct(self.repeated.result(), self.cohort_id)
        # A join gives rows in any order, so each finds its place by its number.
        chosen = np.zeros(len(self.frame), dtype=bool)
        chosen[numbers] = True
        return self._taken(chosen), counts

    def _taken(self, chosen: np.ndarray) -> Frame | pl.LazyFrame:
        if isinstance(self.frame, pd.DataFrame):
            return self.frame.loc[chosen]
        if isinstance(self.frame, pa.Table):
            return self.frame.filter(pa.array(chosen))
        members = self.frame.filter(pl.Series(chosen))
        return members.lazy() if self.lazy else members

    @cached_property
    def _engine(self) -> Any:
        import ibis

        return ibis.polars.connect()


@dataclass(frozen=True)
class TableSource:
    """A table in a database or in files; nothing but the counts leaves it until members are asked for.

    Attributes:
        files: the DuckDB that reads files and closes afterwards, so that members must leave it.
    """

    cohort_id: str
    journeys: ir.Table
    events: ir.Table | None
    files: Any = None

    def evaluate(self, table: ir.Table, rules: Sequence[Rule]) -> tuple[Any, list[MaskCount]]:
        """Members as an Ibis table without an order, or as a Polars frame of files."""
        _require_distinct(_repeated_there(self.journeys, JOURNEY_KEY), self.cohort_id)
        flagged = with_flags(table, rules, self.journeys.columns)
        if self.files and self.events is not None:
            # Members and masks both read them, and events are many: those are counted once.
            flagged = self.files.create_table("flagged", flagged, temp=True)
        members = eligible(flagged, rules).select(*self.journeys.columns)
        counts = tally(flagged, rules)
        return (fetched(self.files, members) if self.files else members), counts


def _repeated_there(table: ir.Table, key: str) -> int:
    if key not in table.columns:
        return 0
    rows, keys = table.aggregate(rows=table.count(), keys=table[key].nunique()).to_polars().row(0)
    return rows - keys


def _once_there(config: CohortConfig, events: ir.Table) -> ir.Table:
    """The events each once, as `_once` makes them of a frame."""
    if not _repeated_there(events, EVENT_KEY):
        return events
    distinct = events.select(_event_columns(config, events)).distinct()
    _require_distinct(_repeated_there(distinct, EVENT_KEY), config.cohort_id, EVENT_KEY)
    return distinct


@contextmanager
def open_source(
    config: CohortConfig,
    journeys: Any,
    events: Any = None,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[Source]:
    """Find out what was given and check that the columns which the definition reads are there.

    Files are read by an engine of their own, which may spill to a temporary folder while the source is open.

    Raises:
        CohortError: CC_002 for missing columns or events, CC_004 for anything that is no table, for events
            that are not where the journeys are, and for a DuckDB table that hides NaN.
    """
    if config.event_criteria and events is None:
        named = ", ".join(criterion.name for criterion in config.event_criteria)
        raise CohortError("CC_002", f"{config.cohort_id}: no events were given, but {named} counts them")
    if not config.event_criteria:
        events = None
    opened: AbstractContextManager[Source]
    if isinstance(journeys, Frame | pl.LazyFrame):
        opened = _frames(config, journeys, events)
    elif isinstance(journeys, str | Path):
        opened = _files(config, Path(journeys), events, on_progress)
    else:
        opened = nullcontext(_tables(config, journeys, events))
    with opened as source:
        yield source


@contextmanager
def _frames(config: CohortConfig, journeys: Frame | pl.LazyFrame, events: Any) -> Iterator[FrameSource]:
    if not isinstance(events, Frame | pl.LazyFrame | None):
        raise _elsewhere("a frame", events)
    frame, happened = _collected(journeys), None if events is None else _collected(events)
    _require_columns(config, frame, happened)
    key = [JOURNEY_KEY] if JOURNEY_KEY in _names(frame) else []
    recorded = [RECORDED] if config.date_fields and RECORDED in _names(frame) else []
    columns = list(dict.fromkeys([*config.required_fields, *key, *recorded]))
    read = _dated(_narrow(frame, columns), config.date_fields, config.cohort_id)
    if recorded:
        read = _recorded_days(read, config.cohort_id)
    read_events = None if happened is None else _once(config, happened)
    with ThreadPoolExecutor(1) as beside:
        repeated = beside.submit(_repeated, read)
        lazy = isinstance(journeys, pl.LazyFrame)
        yield FrameSource(config.cohort_id, frame, read, read_events, repeated, lazy)


def _recorded_days(read: pl.DataFrame, cohort_id: str) -> pl.DataFrame:
    """Times of record that are text, in ISO form and perhaps with a zone, as days."""
    written = read[RECORDED]
    if written.dtype != pl.String:
        return read
    days = written.str.head(10).str.to_date("%Y-%m-%d", strict=False)
    require_read(days.null_count() - written.null_count(), RECORDED, cohort_id)
    return read.with_columns(days)


def _once(config: CohortConfig, happened: Frame) -> pl.DataFrame:
    """The columns of the events that are read; an event that was delivered twice is there once."""
    narrow = _narrow(happened, _event_columns(config, happened))
    read = _dated(narrow, [EVENT_DATE], config.cohort_id)
    if _repeated(read, EVENT_KEY):
        read = read.unique(maintain_order=True)
        _require_distinct(_repeated(read, EVENT_KEY), config.cohort_id, EVENT_KEY)
    return read


def _event_columns(config: CohortConfig, events: Any) -> list[str]:
    """What is read of the events: what criteria name, and where they are there the key and the cost."""
    present = set(_names(events))
    return [*dict.fromkeys([*config.event_fields, *(n for n in (EVENT_KEY, EVENT_COST) if n in present)])]


def _repeated(read: pl.DataFrame, key: str = JOURNEY_KEY) -> int:
    """Rising keys, as an extract has them, are distinct, and so are those of distinct hashes; both cost a
    fraction of counting the keys themselves."""
    if key not in read.columns:
        return 0
    keys = read[key]
    if not keys.null_count() and (_rise(keys) or keys.hash().n_unique() == len(keys)):
        return 0
    return len(keys) - keys.drop_nulls().n_unique()


def _rise(keys: pl.Series) -> bool:
    """Whether each key is larger than the one before; compared, as a frame may wrongly claim to be sorted."""
    return all(
        (part > part.shift()).all() for part in (keys.head(1000), keys)
    )  # the first compares with null


def _require_distinct(repeated: int, cohort_id: str, key: str = JOURNEY_KEY) -> None:
    what = "each journey must be there once" if key == JOURNEY_KEY else "each event must have its own"
    if repeated:
        raise CohortError("CC_004", f"{cohort_id}: {repeated} rows repeat or lack {key}; {what}")


def _collected(frame: Frame | pl.LazyFrame) -> Frame:
    """A lazy frame is run once: run again for the members, its rows might come in another order."""
    if not isinstance(frame, pl.LazyFrame):
        return frame
    try:
        return frame.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CohortError(
            "CC_004", f"the lazy frame cannot be collected ({type(error).__name__}): collect it to see why"
        ) from None


@contextmanager
def _files(
    config: CohortConfig, journeys: Path, events: Any, on_progress: Callable[[float], None] | None
) -> Iterator[TableSource]:
    import ibis

    if not isinstance(events, str | Path | None):
        raise _elsewhere("a Parquet path", events)
    with tempfile.TemporaryDirectory(prefix="e2i-") as scratch:
        engine = ibis.duckdb.connect(memory_limit=MEMORY, temp_directory=scratch)
        try:
            table = open_parquet(engine, journeys)
            happened = None if events is None else open_parquet(engine, Path(events))
            _require_columns(config, table, happened)
            with progress_told(engine, on_progress):
                once = None if happened is None else _once_there(config, happened)
                yield TableSource(config.cohort_id, table, once, engine)
        finally:
            engine.disconnect()


def _tables(config: CohortConfig, journeys: Any, events: Any) -> TableSource:
    import ibis.expr.types as ir

    if not isinstance(journeys, ir.Table):
        raise CohortError(
            "CC_004",
            f"journeys must be a pandas, Polars, Arrow or Ibis table or a path of Parquet files, not "
            f"{type(journeys).__name__}",
        )
    together = isinstance(events, ir.Table) and events.get_backend() is journeys.get_backend()
    if events is not None and not together:
        raise _elsewhere("an Ibis table of the same connection", events)
    _require_columns(config, journeys, events)
    require_nan_kept(journeys, config.required_fields, config.cohort_id)
    if events is None:
        return TableSource(config.cohort_id, journeys, None)
    require_nan_kept(events, config.event_fields, config.cohort_id)
    return TableSource(config.cohort_id, journeys, _once_there(config, events))


def _require_columns(config: CohortConfig, journeys: Any, events: Any) -> None:
    _require(config.required_fields, _names(journeys), "journeys", config.cohort_id, config.date_fields)
    if events is not None:
        _require(config.event_fields, _names(events), "events", config.cohort_id)


def _elsewhere(expected: str, events: Any) -> CohortError:
    return CohortError(
        "CC_004", f"events must be {expected}, as the journeys are, not {type(events).__name__}: convert them"
    )


def _names(table: Any) -> list[str]:
    return list(table.column_names if isinstance(table, pa.Table) else table.columns)


def _require(
    required: Sequence[str], names: list[Any], table: str, cohort_id: str, dates: Sequence[str] = ()
) -> None:
    if missing := [name for name in required if name not in names]:
        unseen = " and ".join(name for name in missing if name in dates)
        windows = (
            f". Lookback and follow-up are counted from {unseen}: add the index date, and the first and last "
            "day on which something would have been recorded, or ask for no window with "
            "temporal_requirements: null (None in Python)"
        )
        raise CohortError(
            "CC_002",
            f"{cohort_id}: columns missing from the {table}: {', '.join(missing)}{windows if unseen else ''}",
        )
    if repeated := sorted({name for name in [*required, JOURNEY_KEY] if names.count(name) > 1}):
        raise CohortError("CC_004", f"{cohort_id}: columns that appear twice: {', '.join(repeated)}")


def _narrow(frame: Frame, columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame([_series(frame, name) for name in columns])


def _dated(read: pl.DataFrame, dates: Sequence[str], cohort_id: str) -> pl.DataFrame:
    """Columns of dates that are text in ISO form, as dates."""
    for name in dates:
        text = read[name]
        if text.dtype == pl.String:
            day = pl.when(pl.col(name).str.contains(ISO)).then(pl.col(name).str.head(10))
            read = read.with_columns(day.str.to_date("%Y-%m-%d", strict=False).alias(name))
            require_read(read[name].null_count() - text.null_count(), name, cohort_id)
    return read


def _series(frame: Frame, name: str) -> pl.Series:
    """One column as Polars; the converter's own message would show values, so only the column is named."""
    from ibis.formats.polars import PolarsType

    try:
        column = frame[name]
        if isinstance(column, pd.Series):
            column = _from_pandas(column).alias(name)
        column = column if isinstance(column, pl.Series) else pl.Series(name, column)
        PolarsType.to_ibis(column.dtype)
        # Polars neither searches in categories nor joins those of two tables.
        return column.cast(pl.String) if column.dtype in CATEGORIES else column
    except UNUSABLE as error:
        raise CohortError(
            "CC_004",
            f"column {name} has no single type that can be compared ({type(error).__name__}): convert it",
        ) from None


def _from_pandas(column: pd.Series[Any]) -> pl.Series:
    if column.dtype != object:
        return pl.from_pandas(column)
    values = pl.from_pandas(column)
    # Nothing but nulls says nothing about the type; the converter would call it text.
    if values.null_count() == len(values):
        return pl.Series([None] * len(column))
    zoneless = isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is None
    # Among moments without zone the converter turns those of a zone into UTC, silently.
    if zoneless and any(getattr(value, "tzinfo", None) for value in column):
        raise ValueError("moments with and without time zone")
    return values


CATEGORIES = (pl.Categorical, pl.Enum)
UNUSABLE = (
    pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError, OverflowError, KeyError,
    NotImplementedError,
)  # fmt: skip
"""What converters raise of a column that they cannot hold."""
