"""Dates in whatever form they come: timestamps, numbers such as 20230501, text, and text around a date."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from e2i_assets.contracts.spelling import as_text
from e2i_assets.leakage import words
from e2i_assets.leakage.words import either

_SAMPLE = 200
_MOSTLY = 0.95
_MONTH = "|".join(words.MONTHS)
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_NTH = r"(?:st|nd|rd|th)?"
_HINT = rf"(?:19|20)\d\d|\d[-/.]\d{{1,2}}[-/.]\d\d|(?:{_MONTH})"
_CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?\s*(?P<half>[ap]m)?"
    r"\s*(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d)?)?"
)
_FORMS = (
    rf"(?<![\d.]){_YEAR}[-/.](?P<month>\d{{1,2}})(?:[-/.](?P<day>\d{{1,2}}))?(?!\d)",
    r"(?<![\d.])(?P<first>\d{1,2})(?P<mark>[-/.])(?P<next>\d{1,2})(?P=mark)(?P<year>\d{4}|(?<=/)\d\d)(?!\d)",
    r"(?<![\d.])(?P<first>\d\d)(?P<mark>\.)(?P<next>\d\d)\.(?P<year>\d\d)(?![\d.])",
    rf"(?<!\d)(?P<day>\d{{1,2}}){_NTH}[ -]?(?P<name>{_MONTH})[a-z]*[ ,.-]*{_YEAR}(?!\d)",
    rf"(?<!\d)(?P<day>\d{{1,2}})(?P<mark>[ -])(?P<name>{_MONTH})(?P=mark)(?P<year>\d\d)(?![\d:])",
    rf"\b(?P<name>{_MONTH})[a-z]*\.?[ -]+(?:(?P<day>\d{{1,2}}){_NTH},?[ -]+)?{_YEAR}(?!\d)",
    rf"(?<![\d/.-])(?P<month>\d{{1,2}})/{_YEAR}(?![\d/])",
    rf"(?<!\d){_YEAR}(?P<month>[01]\d)(?P<day>[0-3]\d)(?:[0-2]\d[0-5]\d[0-5]\d)?(?!\d)",
    rf"(?<!\d){_YEAR}-?w(?P<week>[0-5]\d)(?:-?(?P<weekday>[1-7]))?(?!\d)",
)
_SHORT = r"\d{1,2}([-._ \\])\d{1,2}\1\d\d(?:\d\d)?|\d{8}"
_SHORT_ORDERS = ("%m-%d-%Y", "%d-%m-%Y", "%m-%d-%y", "%d-%m-%y", "%y-%m-%d", "%m%d%Y", "%d%m%Y")
"""Of values that are dates only if all of them are, as 01-09-24 and 01092024: alone they may be codes."""
_SHORT_LEAST = 4
"""So many different values it takes: fewer may be the levels of anything, as doses of 10 20 30."""
_ISO = r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$"
_OFFSET = r"(?:[Zz]|[+-]\d\d:?\d\d)$"
_EPOCHS = (("s", 6e8, 4e9), ("ms", 6e11, 4e12), ("us", 6e14, 4e15), ("ns", 6e17, 4e18))
_YEAR_NAME = rf"(^|_){either(words.YEAR_NAMES)}(_|$)"
_DATE_NAME = rf"(^|_){either(words.DATES)}(_|$)"
_SERIALS = (29_221, 73_050)  # days of a spreadsheet: 1980 to 2099
_EPOCH_NAME = rf"(^|_){either(words.TIMESTAMP_NAMES)}(_|$)"

_FARTHEST_ZONE = pd.Timedelta(hours=14)


@dataclass(frozen=True)
class Dates:
    """Dates of a column.

    Attributes:
        wall: what the calendar and clock said where it was written, without zone, NaT where there is none.
        instant: the same in UTC; None when no zone is given.
        unreadable: values that are there and are no dates, in a column that is mostly dates.
        whole: the values are dates and nothing else.
        swapped: `wall` with day and month exchanged, where the values leave open which is which.
    """

    wall: pd.Series
    instant: pd.Series | None
    unreadable: int
    whole: bool
    swapped: pd.Series | None = None

    @property
    def in_days(self) -> bool:
        """Every date is at midnight: days are known, hours are not."""
        walls = self.wall.dropna()
        return bool((walls == walls.dt.normalize()).all())

    def readings(self) -> tuple[Dates, ...]:
        """What the dates may be: one reading, or both where day and month cannot be told apart."""
        if self.swapped is None:
            return (self,)
        return (replace(self, swapped=None), replace(self, wall=self.swapped, instant=None, swapped=None))

    def after(self, other: Dates) -> pd.Series:
        """Rows whose date is after the other's, or may be, where only one side tells a zone.

        By instant, or by day where either knows days only; the day of a timestamp is that of the other's
        zone, as far as the other tells one.
        """
        zones = [d.instant is not None for d in (self, other)]
        if not (self.in_days or other.in_days):
            if self.instant is not None and other.instant is not None:
                return self.instant > other.instant
            return self.wall > other.wall - (_FARTHEST_ZONE if any(zones) else pd.Timedelta(0))
        mine = self.wall
        if not self.in_days and self.instant is not None and other.instant is not None:
            mine = self.instant + (other.wall - other.instant)
        return mine.dt.normalize() > other.wall.dt.normalize()


def read(column: pd.Series) -> Dates | None:
    """The column's dates; None when it has none. Of several dates in one value the latest counts."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return _typed(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return read(column.astype(column.cat.categories.dtype))
    if pd.api.types.is_bool_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column):
        return _numbers(column)
    return _text(column)


def are_dates(column: pd.Series) -> bool:
    """Whether the first values of a column are dates and nothing else."""
    readable = read(column.dropna().head(_SAMPLE))
    return readable is not None and readable.whole


def _typed(column: pd.Series) -> Dates:
    zone = column.dt.tz
    instant = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else None
    return Dates(column.dt.tz_localize(None), instant, 0, True)


def _numbers(column: pd.Series) -> Dates | None:
    numbers = pd.Series(column.to_numpy(dtype="float64", na_value=np.nan), index=column.index)
    values = numbers.dropna()
    if values.empty or not np.isfinite(values).all() or (values % 1 != 0).any():
        return None
    low, high = values.min(), values.max()
    if low >= 19_000_101 and high <= 21_001_231:
        wall = pd.to_datetime(numbers, format="%Y%m%d", errors="coerce")
        return Dates(wall, None, 0, True) if wall.notna().sum() == len(values) else None
    name = _squeezed(str(column.name))
    if low >= 1900 and high <= 2100 and re.search(_YEAR_NAME, name):
        return Dates(pd.to_datetime(numbers, format="%Y"), None, 0, True)
    if low >= _SERIALS[0] and high <= _SERIALS[1] and re.search(_DATE_NAME, name):
        return Dates(pd.to_datetime(numbers, unit="D", origin="1899-12-30"), None, 0, True)
    named = bool(re.search(_EPOCH_NAME, name))
    for unit, least, most in _EPOCHS:
        plain = (
            unit != "s" and high <= most / 2
        )  # ten digits may be any number, thirteen of these years hardly
        if least <= low and high <= most and (named or plain):
            wall = pd.to_datetime(numbers, unit=unit, errors="coerce")  # type: ignore[call-overload]
            return Dates(wall, wall, 0, True)
    return None


def _squeezed(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]+", "_", name).lower()


def _text(column: pd.Series) -> Dates | None:
    codes, values = pd.factorize(as_text(column))
    texts = pd.Series(values, dtype="string").str.strip()
    if texts.empty:
        return None
    if texts.head(_SAMPLE).str.fullmatch(r"\d{9,19}").mean() >= _MOSTLY:
        numbers = pd.to_numeric(column, errors="coerce")
        epoch = _numbers(numbers) if numbers.notna().sum() == column.notna().sum() else None
        if epoch is not None:
            return epoch
    if texts.head(_SAMPLE).str.fullmatch(_ISO).mean() >= _MOSTLY:
        wall, instant, whole, swapped = *_iso(texts), pd.Series(True, index=texts.index), None
    else:
        wall, instant, whole, is_open = _searched(texts)
        swapped = _searched(texts, day_first=True)[0] if is_open else None
    if not wall.notna().any():
        if not (orders := _short(texts)):
            return None
        wall, instant, whole = orders[0], None, pd.Series(True, index=texts.index)
        swapped = pd.concat(orders[1:], axis="columns").max(axis="columns") if orders[1:] else None
    is_whole = bool(whole[wall.notna()].mean() >= _MOSTLY and wall.notna().mean() >= 0.5)
    unreadable = wall.isna() & ~texts.str.lower().isin(words.NOTHING)
    rows = np.bincount(codes[codes >= 0], minlength=len(texts))
    missed = int(rows[unreadable.to_numpy()].sum()) if is_whole else 0
    return Dates(
        _spread(wall, codes, column.index),
        None if instant is None else _spread(instant, codes, column.index),
        missed,
        is_whole,
        None if swapped is None else _spread(swapped, codes, column.index),
    )


def _short(texts: pd.Series) -> list[pd.Series]:
    """Dates in each order of day, month and year in which nearly all of the texts are dates."""
    values = texts.mask(texts.str.lower().isin(words.NOTHING))
    matched = values.str.fullmatch(_SHORT)
    if matched.sum() < max(_SHORT_LEAST, _MOSTLY * values.notna().sum()):
        return []
    plain = values.where(matched.fillna(value=False)).str.replace(r"[._ \\]", "-", regex=True)
    orders = [pd.to_datetime(plain, format=order, errors="coerce") for order in _SHORT_ORDERS]
    dated = [order.where(order.dt.year.between(1900, 2099)) for order in orders]
    return [order for order in dated if order.notna().sum() >= _MOSTLY * values.notna().sum()]


def _spread(values: pd.Series, codes: np.ndarray, index: pd.Index) -> pd.Series:
    stamps = np.append(values.to_numpy(dtype="datetime64[ns]"), np.datetime64("NaT", "ns"))
    return pd.Series(stamps[codes], index=index)


def _iso(texts: pd.Series) -> tuple[pd.Series, pd.Series | None]:
    wall = pd.to_datetime(
        texts.str.replace(
            rf"(?<=:\d\d){_OFFSET}|(?<=\.\d{{3}}){_OFFSET}|(?<=\.\d{{6}}){_OFFSET}", "", regex=True
        ),
        format="ISO8601",
        errors="coerce",
    )
    zoned = texts.str.contains(rf":\d\d(?:\.\d+)?{_OFFSET}")
    if not zoned.fillna(value=False).all():
        return wall, None
    return wall, pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)


def _searched(
    texts: pd.Series, *, day_first: bool = False
) -> tuple[pd.Series, pd.Series | None, pd.Series, bool]:
    """The latest date in each text, the same in UTC, and whether the text is that date and no more.

    The last of the four: whether it is left open what is day and what is month, so that `day_first` decides.
    """
    wall = pd.Series(np.datetime64("NaT", "ns"), index=texts.index)
    instant, whole, is_open = wall.copy(), pd.Series(False, index=texts.index), False
    lower = texts.str.lower()
    hinted = lower[lower.str.contains(_HINT).fillna(value=False)]
    for form in _FORMS if len(hinted) else ():
        matches = hinted.str.extractall(form + _CLOCK)
        if matches.empty:
            continue
        day_leads = _day_first(matches)
        is_open |= day_leads is None
        stamps, offset = _stamps(matches, day_first if day_leads is None else day_leads), _offsets(matches)
        stamps = stamps.dropna()
        newest = stamps.groupby(level=0).max()
        later = newest[~(wall.reindex(newest.index) >= newest)]
        wall.loc[later.index] = later
        utc = (stamps - offset.reindex(stamps.index)).groupby(level=0).max()
        instant.loc[later.index] = utc.reindex(later.index)
        whole |= lower.str.fullmatch(form + _CLOCK).fillna(value=False)
    zoned = wall.notna().any() and instant[wall.notna()].notna().all()
    return wall, instant if zoned else None, whole, is_open


def _day_first(matches: pd.DataFrame) -> bool | None:
    """Whether the day stands before the month; None where no value tells, unless all read the same."""
    if "first" not in matches:
        return False
    first, second = matches["first"].astype(int), matches["next"].astype(int)
    if (first > 12).any() or (matches["mark"] == ".").all():
        return True
    return False if (second > 12).any() or (first == second).all() else None


def _stamps(matches: pd.DataFrame, day_first: bool) -> pd.Series:
    year = matches["year"].astype(float)
    year = year.where(year > 99, year + np.where(year < 70, 2000, 1900))
    if "week" in matches:
        iso = year.map("{:.0f}".format) + "-W" + matches["week"] + "-" + matches["weekday"].fillna("1")
        stamps = pd.to_datetime(iso, format="%G-W%V-%u", errors="coerce")
        return stamps + _clock(matches)
    if "first" in matches:
        first, second = matches["first"].astype(float), matches["next"].astype(float)
        day, month = (first, second) if day_first else (second, first)
    else:
        first = pd.Series(1.0, index=matches.index)  # of the month, where no day is written
        day = matches["day"].astype(float).fillna(1) if "day" in matches else first
        numbers = {month: number for number, month in enumerate(words.MONTHS, start=1)}
        named = matches["name"].map(numbers) if "name" in matches else None
        month = (matches["month"] if named is None else named).astype(float)
    return pd.to_datetime({"year": year, "month": month, "day": day}, errors="coerce") + _clock(matches)


def _clock(matches: pd.DataFrame) -> pd.Series:
    hour, minute, second = (matches[part].astype(float).fillna(0) for part in ("hour", "minute", "second"))
    afternoon = hour % 12 + 12 * (matches["half"] == "pm")
    hour = hour.where(matches["half"].isna(), afternoon)
    return pd.to_timedelta(hour * 3600 + minute * 60 + second, unit="s")


def _offsets(matches: pd.DataFrame) -> pd.Series:
    """The zone's distance from UTC; NaT where none is given."""
    zone = matches["zone"].replace({"z": "+0000", "utc": "+0000", "gmt": "+0000"}).str.replace(":", "")
    minutes = zone.str[1:3].astype(float) * 60 + zone.str[3:5].astype(float)
    return pd.to_timedelta(minutes.where(zone.str[0] != "-", -minutes), unit="min")
