"""What a column's name says of when its value is known; whether the data agree is judged elsewhere."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Literal

from e2i_assets.leakage import words
from e2i_assets.leakage.words import either

Meaning = Literal["follow-up", "duration", "event", "aftermath", "change"]
"""`follow-up`: time until the event, or the last sight of the patient; `duration`: a bare time, which is that
only in a table of survival times; `event`: that something happened; `aftermath`: what is written down when it
is over; `change`: from one year to another."""


_UNITS, _ENDS, _ENDPOINTS = either(words.UNITS), either(words.ENDS), either(words.ENDPOINTS)
_DATES, _ENDED = either(words.DATES), either((*words.SURVIVAL, *words.ENDS))
_FOLLOW_UP = re.compile(
    rf"(^|_)({_UNITS}|date)_?{either(words.UNTIL)}_(first_|next_)?{_ENDS}"
    rf"|(^|_){_DATES}_{_ENDS}($|_)|^last_{_DATES}$"
    rf"|(^|_){_ENDS}_free_{either(words.FREE)}"
    rf"|(^|_){_ENDPOINTS}_?{either(words.ENDPOINT_UNITS)}($|_)"
    rf"|(^|_){_ENDED}_?({_UNITS}|{_DATES})($|_)"
    rf"|(^|_)({either(words.FOLLOW_UPS)}|{either(words.STAYS)})($|_)|(^|_)last_{either(words.LAST)}"
    rf"|^{either(words.CLOSES)}_?{either(words.CLOSED_AT)}$"
)
_LAST_SEEN = re.compile(rf"(^|_)last_{either(words.LAST_SEEN)}")
_STAY = re.compile(rf"(^|_){either(words.STAY)}($|_)")
_SURVIVAL_TARGET = re.compile(rf"{either(words.SURVIVAL_TARGETS)}|\w{{1,3}}stat")
_EVENT = re.compile(
    rf"(\w*_)?{either(words.EVENTS)}|({either(words.EVENT_OF)}_)?{either(words.ANY_EVENT)}"
    rf"|{either(words.OUTCOME_OF)}_outcome"
)
_AFTERMATH = re.compile(
    rf"(^|_){either(words.AFTERMATH)}($|_)|^{either(words.AFTERMATH_ALONE)}$|^{either(words.AFTERMATH_FIRST)}_"
    rf"|_{either(words.AFTERMATH_LAST)}$|(^|_){either(words.REASONED)}_{either(words.REASONS)}($|_)"
    rf"|^reason_for_{either(words.REASON_FOR)}|(^|_)at_{either(words.AT)}($|_)"
    rf"|(^|_){either(words.AFTER)}_{either(words.AFTER_WHAT)}($|_)"
    rf"|(^|_)discharge_{either(words.OF_DISCHARGE)}($|_)"
)
_EVENT_VALUE = re.compile(rf"{either(words.EVENT_VALUES)}|\d+")
_VISIT = re.compile(rf"{either(words.VISITS)}(\d+)")
_PATIENT = re.compile(rf"(\w+_)?{either(words.PATIENTS)}_{either(words.KEYS)}|{either(words.PATIENT_IDS)}")
_HCP = re.compile(rf"(\w+_)?({either(words.HCPS)}_{either(words.KEYS)}|{either(words.HCP_IDS)})")


@cache
def squeezed(name: str) -> str:
    """Lower-case words joined by `_`: `DeathDate.2` is `death_date_2`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^0-9a-z]+", "_", parted.lower()).strip("_")


def is_patient_key(name: str) -> bool:
    """Whether it is named as the id of a patient."""
    return bool(_PATIENT.fullmatch(squeezed(name)))


def is_hcp_key(name: str) -> bool:
    """Whether it is named as the id of an HCP."""
    return bool(_HCP.fullmatch(squeezed(name)))


def _is_time_of(plain: str, target: str) -> bool:
    """Whether the name is that of the target's time or date: `days_to_cmv` for `cmv`."""
    if len(target) < 3 or not re.search(rf"(^|_){re.escape(target)}($|_)", plain):
        return False
    rest = [p for p in re.sub(rf"(^|_){re.escape(target)}($|_)", "_", plain).split("_") if p]
    times = {*words.DATES, *words.DURATION}
    return bool(times.intersection(rest)) and times.union(words.TARGET_LINKS, words.LINKS).issuperset(rest)


@cache
def meaning_of(name: str, target: str = "") -> Meaning | None:
    """What the name says; None for nothing of the kind, as for all that is history (`prior`, `baseline`).

    A discharge is the index date of a readmission, and after it for any other target.
    """
    plain = squeezed(name)
    if words.READMISSION in target.lower() and (words.DISCHARGE in plain or _STAY.search(plain)):
        return None
    if _LAST_SEEN.search(plain):
        return "follow-up"
    parts = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", "_", plain).split("_")
    if _is_past(plain, parts) or parts[-1] == "0":
        return None
    if _FOLLOW_UP.search(plain) or _is_time_of(plain, squeezed(target)):
        return "follow-up"
    parts = [p for p in parts if not p.isdigit()]
    if set(words.DURATION).intersection(parts) and {*words.DURATION, *words.LINKS}.issuperset(parts):
        return "duration"
    if re.fullmatch(_ENDPOINTS, plain):
        return "duration"
    if _EVENT.fullmatch("_".join(p for p in plain.split("_") if p not in words.FILLER and not p.isdigit())):
        return "event"
    if _AFTERMATH.search(plain):
        return "aftermath"
    return "change" if len(set(_years(name))) == 2 else None


def _is_past(plain: str, parts: list[str]) -> bool:
    return bool(set(words.HISTORY).intersection(parts)) or plain.startswith(words.HISTORY_PREFIX)


def are_numbered_alike(name: str, other: str) -> bool:
    """Whether the names differ in their last number only: `etime2` and `etime1`."""
    stems = [re.sub(r"\d+$", "", squeezed(n)) for n in (name, other)]
    return name != other and len(set(stems)) == 1 and stems[0] not in (squeezed(name), squeezed(other))


def is_time(name: str, target: str) -> bool:
    """Whether the name is that of a time or date after the index date."""
    part = _endpoint(name)
    return meaning_of(name, target) in ("follow-up", "duration") or (part is not None and part[0] == "time")


def is_unit(name: str) -> bool:
    """Whether the name is a unit of time and no more."""
    return re.sub(r"_?\d+$", "", squeezed(name)) in words.TIME_UNITS


def is_weak(name: str) -> bool:
    """Whether it is named as a bare duration, or as a change between years.

    A mere unit (hours of study, weeks of pregnancy) is not enough.
    """
    meaning = meaning_of(name)
    return meaning == "change" or (meaning == "duration" and not is_unit(name))


@cache
def is_history(name: str) -> bool:
    """Whether the name says that it was there before: of a start, a birth, a baseline, the past, a year."""
    plain = squeezed(name)
    parts = plain.split("_")
    return _is_past(plain, parts) or bool(set(words.STARTS).intersection(parts)) or plain == "year"


@cache
def is_survival_target(name: str) -> bool:
    """Whether the target's name is that of an event indicator beside a survival time."""
    parts = [p for p in squeezed(name).split("_") if p not in words.FILLER or p in words.INDICATOR_LETTERS]
    parts = [p.rstrip("0123456789") for p in parts if not p.isdigit()]
    return bool(parts) and all(_SURVIVAL_TARGET.fullmatch(p) for p in parts)


@cache
def are_of_an_event(values: tuple[str, ...]) -> bool:
    """Whether a target's values are words for an event or its absence (`1: dead`); a grade's are not."""
    return any(_EVENT_VALUE.fullmatch(part) for value in values for part in squeezed(value).split("_"))


def endpoints(columns: list[str]) -> dict[str, str]:
    """Event indicators and their times, told by a common stem: `{"rfsstat": "rfstime", "d1": "t1"}`."""
    times: dict[str, str] = {}
    flags: dict[str, str] = {}
    for name in columns:
        if part := _endpoint(name):
            (times if part[0] == "time" else flags).setdefault(part[1], name)
    for name in columns:
        if name not in flags.values():  # `rel` and `relstat`, `rel.s`
            times.setdefault(squeezed(name), name)
            times.setdefault(squeezed(name) + "_s", name)
    return {flag: times[stem] for stem, flag in flags.items() if stem in times and flag != times[stem]}


def _endpoint(name: str) -> tuple[str, str] | None:
    """Whether a name is that of a time or an indicator, and its stem."""
    plain = squeezed(name)
    for kind, words_ in words.MARKERS.items():
        marker = either(words_)
        for form in (rf"{marker}_?(?P<stem>\w{{2,}})", rf"(?P<stem>\w+?)_?{marker}"):
            if match := re.fullmatch(form, plain):
                return kind, match["stem"].strip("_")
        if match := re.fullmatch(rf"{marker}_(?P<stem>\w)", plain):
            return kind, match["stem"]
    for kind, (before, after) in words.MARKER_LETTERS.items():
        if match := re.fullmatch(rf"[{before}](_?\w{{1,2}}|_\w+)", plain):
            return kind, "_" + match[1].strip("_")
        if match := re.fullmatch(rf"(\w+)_([{after}])", plain):
            return kind, match[1] + ("_s" if match[2] == "s" else "_")
    return None


def is_interval_start(name: str, stop: str) -> bool:
    """Whether the two names are those of an interval's start and stop."""
    first, second = squeezed(name), squeezed(stop)
    if first[-1:] == "0" and second == first[:-1] + "1":
        return first[:-1].strip("_") in words.DURATION
    return any(a in first and first.replace(a, b) == second for a, b in words.INTERVALS)


def repeated_measures(columns: list[str]) -> dict[str, dict[str, str]]:
    """Baselines and their later repeats: `{"cd40": {"20": "cd420", "96": "cd496"}}`.

    Told by words (`pre`, `post`, `week12` beside `week0`) or by a number after a stem whose baseline ends in
    0. Series that count on (`x0`, `x1`, `x2`) are not points of time.
    """
    families: dict[str, dict[str, str]] = {}
    points = {name: _point(name) for name in columns}
    for name, point in points.items():
        if point is None or point[1] != "0":
            continue
        repeats = {p[1]: other for other, p in points.items() if p and p[0] == point[0] and p[1] != "0"}
        if repeats:
            families[name] = repeats
    for name in columns:
        stem = name[:-1]
        if not (name.endswith("0") and re.search(r"[A-Za-z_]\d*$", stem)):
            continue
        rest = {c[len(stem) :]: c for c in columns if c != name and c.startswith(stem)}
        least = (
            2 if stem[-1].isdigit() else 1
        )  # `x10` and `x15` are plain numbers, `cd40` and `cd420` are not
        rest = {w: c for w, c in rest.items() if w.isdigit() and len(w) >= least and not w.startswith("0")}
        if rest and not _counts_on(name, columns):
            families.setdefault(name, rest)
    return families


def _point(name: str) -> tuple[str, str] | None:
    """Stem and point of time (`0` for baseline) of a name that tells one in words."""
    parts = squeezed(name).replace("follow_up", "followup").split("_")
    if len(parts) < 2:
        return None
    for i in (0, len(parts) - 1):
        stem = "_".join(parts[:i] + parts[i + 1 :])
        if parts[i] in words.EARLY:
            return stem, "0"
        if parts[i] in words.LATE:
            return stem, parts[i]
        if visit := _VISIT.fullmatch(parts[i]):
            return stem, "0" if int(visit[2]) == 0 else parts[i]
    return None


def _counts_on(name: str, columns: list[str]) -> bool:
    """Whether the numbered columns of these letters are a series with neighbours."""
    letters = re.sub(r"\d+$", "", name)
    numbers = sorted(int(c[len(letters) :]) for c in columns if re.fullmatch(re.escape(letters) + r"\d+", c))
    return any(b - a == 1 for a, b in pairwise(numbers))


_YEAR = re.compile(r"(?<!\d)(?:19[5-9]\d|20[0-4]\d|[5-9]\d)(?!\d)")


def not_before(name: str, target: str) -> str | None:
    """In words, when the name's year is later than the target's last, or the same for the same quantity."""
    mine, its = _years(name), _years(target)
    if not mine or not its or set(words.HISTORY).intersection(squeezed(name).split("_")):
        return None
    if max(mine) > max(its):
        return f"named after a year later than the target's ({max(mine)}, {max(its)})"
    stems = {_YEAR.sub("", squeezed(n)).strip("_") for n in (name, target)}
    if max(mine) == max(its) and len(stems) == 1 and name != target:
        return f"named as the target's own quantity in the target's last year ({max(its)})"
    return None


def _years(name: str) -> list[int]:
    years = (int(year) for year in _YEAR.findall(squeezed(name)))
    return [year if year > 99 else 1900 + year for year in years]


def same_quantity_later(name: str, other: str) -> bool:
    """Whether `other` is what `name` is, in a later year."""
    mine, its = _years(name), _years(other)
    stems = {_YEAR.sub("", squeezed(n)).strip("_") for n in (name, other)}
    return bool(mine and its and max(its) > max(mine) and len(stems) == 1)
