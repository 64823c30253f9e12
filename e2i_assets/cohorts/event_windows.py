"""What a cohort file declares of event features: which events, over which days, and what of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from e2i_assets.cohorts.criterion import StrictModel
from e2i_assets.contracts.levels import EVENT_TYPES


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"no such event type; there are {', '.join(EVENT_TYPES)}")
    return name


EventType: TypeAlias = Annotated[str, AfterValidator(_event_type)]
WindowDays: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=36_500)]


class Statistic(StrEnum):
    """What is told of the events of one type in one window that ends the day before the index date.

    Without an event `count`, `trend`, `kinds` and `cost` are 0, all others unknown. The last three are told
    of each kind of measurement by itself, that is of each subtype which enough patients have a value of.
    """

    COUNT = "count"
    RECENCY = "recency"  # days since the last one
    FIRST = "first"  # days since the first one of the window
    MEAN_GAP = "mean_gap"  # mean days between days with one; unknown with fewer than two such days
    LONGEST_GAP = "longest_gap"
    TREND = "trend"  # events of the later half of the window less those of the earlier half
    KINDS = "kinds"  # different subtypes
    COST = "cost"  # billed, less reversals
    LAST_VALUE = "last_value"
    MEAN_VALUE = "mean_value"
    VALUE_TREND = "value_trend"  # slope of a straight line, per 30 days; unknown with values of one day only


class EventWindows(StrictModel):
    """Statistics of some event types over some windows.

    Attributes:
        event_types: all of them where none is named.
        windows: days before the index date, each a window of its own.
        statistics: what is told of the events of one type in one window.
    """

    event_types: tuple[EventType, ...] = EVENT_TYPES
    windows: tuple[WindowDays, ...] = Field(min_length=1)
    statistics: tuple[Statistic, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> EventWindows:
        for name in ("event_types", "windows", "statistics"):
            values = getattr(self, name)
            if repeated := sorted({str(value) for value in values if values.count(value) > 1}):
                raise ValueError(f"{name}: {', '.join(repeated)}: state each once")
        return self
