"""What a column's name says of when its value is known; whether the data agree is judged elsewhere."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Literal

Meaning = Literal["follow-up", "duration", "event", "aftermath", "change"]
"""`follow-up`: time until the event, or the last sight of the patient; `duration`: a bare time, which is that
only in a table of survival times; `event`: that something happened; `aftermath`: what is written down when it
is over; `change`: from one year to another."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HISTORY = _words(
    "prior previous previously prev past before pre history hist family fam parental mother father baseline "
    "base bl lag lagged since ago initial first expected planned predicted scheduled onset estimated ever"
)
_STARTS = _words("start started began begin entry admission enrolment enrollment birth born dob age")
_SURVIVAL_TARGET = re.compile(
    r"event|status|delta|e|d|c|observed|cens\w*|dea(th|d)|died?|deceased|mortality|alive|vital|surviv(ed|al)"
    r"|fail(ed|ure)?|relapsed?|recur(red|rence)?|progress(ed|ion)|div(orced?)?|arrest|\w{1,3}stat|os|pfs|[rdem]fs"
)
_FILLER = _words(
    "is has had was flag ind indicator any yn patient subject overall all cause in hospital at during by "
    "within the of d day days month months year years m y"
)
_UNITS = r"(time|days?|weeks?|months?|years?|yrs?|hours?|in_days|in_months|in_years)"
_ENDS = (
    r"(event|death|dead|died|decease|relapse|recur(rence)?|rec|progression|failure|fail|censor\w*|cens|exit"
    r"|readmission|churn|conversion|outcome|endpoint|discharge|disch|remission|metastasis|termination"
    r"|cancel(l)?ation|resignation|closure|withdrawal|drop_?out|default|hospitali[sz]ation|transplant"
    r"|last_(contact|observation|seen|alive|known_alive|follow_?up|fu)|fu|follow_?up)"
)
_ENDPOINTS = r"(os|[pdermt]fs|mfs|dss|css|pfi|dfi|ttp|ttr|tte|ttf)"
_FOLLOW_UP = re.compile(
    rf"(^|_)({_UNITS}|date)_?(to|until|till|of)_(first_|next_)?{_ENDS}"
    rf"|(^|_)(date|dt)_{_ENDS}($|_)|^last_(date|dt)$"
    rf"|(^|_){_ENDS}_free_(time|interval|survival|days|weeks|months|years|status)"
    rf"|(^|_){_ENDPOINTS}_?(time|days|weeks|months|years|yrs)($|_)"
    rf"|(^|_)(surv|survival|{_ENDS})_?{_UNITS}($|_)"
    rf"|(^|_)(surv|survival|{_ENDS})_?(date|dt)($|_)"
    r"|(^|_)follow_?up(_|$)|(^|_)(fu_?time|lenfol|lenfup|survival|tte|ttp|ttr|dod|date_of_death)($|_)"
    r"|(^|_)last_(observ\w*|contact|seen|known_alive|alive|follow_?up|fu)"
    r"|^(end|stop|exit|close|closed|termination|cancellation|churn)_?(date|time|dt|at)$"
    r"|(^|_)(los|len(gth)?_?of_?stay|(hosp(ital)?|icu)_(days|stay|los)|(days|stay)_in_(hosp(ital)?|icu))($|_)"
)
_STAY = re.compile(r"(^|_)(los|stay|hosp(ital)?|icu)($|_)")
_DURATION = _words(
    "t time times days weeks months years yrs hours duration durat stop tstop exit end futime "
    "rtime dtime stime ftime etime"
)
_TIME_UNITS = _words("days weeks months years yrs hours")
_LINKS = _words("in of d os e n num diff total obs observation call contact talk")
_EVENT = re.compile(
    r"(\w*_)?(dea(th|d)|died|mortality|deceased|survived|alive|relapsed|recurred|progressed|cens(or|ored|rec|dead)?"
    r"|(hosp|icu)_?(dead|death|mort(ality)?)|readmitted|readmission|drop_?out|dropped_out|withdr[ae]wn?"
    r"|discontinued|off_?(trt|treatment|study)|lost_to_follow_?up|ltfu|churned|converted"
    r"|(yr|mo|da|y|m|d)_?dth)|((primary|secondary|final|clinical|study|death|os|pfs|[defr]fs)_)?(event|endpoint|outcome)"
    r"|(birth|pregnancy|treatment|surgery|surgical|procedure|episode|visit|case|claim|call|functional)_outcome"
)
_AFTERMATH = re.compile(
    r"(^|_)(recover(ies|ed)|collection_recovery_fee|total_pymnt\w*|total_rec_\w+|last_pymnt\w*|out_prncp\w*"
    r"|paid_(total|principal|interest|late_fees?)|(principal|interest)_paid|late_fees?|next_(pymnt|payment)\w*"
    r"|settlement\w*|cha?r?ge?_?off\w*|write_?off\w*|reservation_status\w*|lead_status|exit_(interview|survey)"
    r"|resolution\w*|refund\w*|claim_(paid|settled|amount_paid)|autopsy\w*|cause_of_death|death_cause|cod)($|_)"
    r"|^final_|(^|_)(cancel\w*|churn|term|termination|discontinuation|withdrawal|exit|death|closing|close)_"
    r"(reason|category|score|code|type|cause)($|_)|^reason_for_(cancel\w*|churn|leaving|termination|stop\w*|disc\w*)"
    r"|(^|_)at_(discharge|outcome|death|exit|end_?point|relapse|recurrence|event)($|_)"
    r"|_after(wards)?$|^subsequent_|(^|_)(after|post)_(index|baseline|discharge|outcome|event|enrol?lment)($|_)"
    r"|^(reason|disposition)$|(^|_)discharge_(date|disposition|status|destination|location|weight|time)($|_)"
)  # fmt: skip


@cache
def squeezed(name: str) -> str:
    """Lower-case words joined by `_`: `DeathDate.2` is `death_date_2`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^0-9a-z]+", "_", parted.lower()).strip("_")


def _is_time_of(words: str, target: str) -> bool:
    """Whether the name is that of the target's time or date: `days_to_cmv` for `cmv`."""
    if len(target) < 3 or not re.search(rf"(^|_){re.escape(target)}($|_)", words):
        return False
    rest = [p for p in re.sub(rf"(^|_){re.escape(target)}($|_)", "_", words).split("_") if p]
    return bool({"date", "dt", *_DURATION}.intersection(rest)) and all(
        p in {"date", "dt", "to", "until", "till", "at", *_DURATION, *_LINKS} for p in rest
    )


@cache
def meaning_of(name: str, target: str = "") -> Meaning | None:
    """What the name says; None for nothing of the kind, as for all that is history (`prior`, `baseline`).

    A discharge is the index date of a readmission, and after it for any other target.
    """
    words = squeezed(name)
    if "readm" in target.lower() and ("discharge" in words or _STAY.search(words)):
        return None
    if re.search(r"(^|_)last_(observ|contact|seen|alive|known)", words):
        return "follow-up"
    parts = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", "_", words).split("_")
    if _HISTORY.intersection(parts) or words.startswith("lag") or parts[-1] == "0":
        return None
    if _FOLLOW_UP.search(words) or _is_time_of(words, squeezed(target)):
        return "follow-up"
    told = [p for p in parts if not p.isdigit()]
    if any(p in _DURATION for p in told) and all(p in _DURATION or p in _LINKS for p in told):
        return "duration"
    if re.fullmatch(_ENDPOINTS, words):
        return "duration"
    if _EVENT.fullmatch("_".join(p for p in words.split("_") if p not in _FILLER and not p.isdigit())):
        return "event"
    if _AFTERMATH.search(words):
        return "aftermath"
    return "change" if len(set(_years(name))) == 2 else None


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
    return re.sub(r"_?\d+$", "", squeezed(name)) in _TIME_UNITS


def is_weak(name: str) -> bool:
    """Whether it is named as a bare duration, or as a change between years.

    A mere unit (hours of study, weeks of pregnancy) is not enough.
    """
    meaning = meaning_of(name)
    return meaning == "change" or (meaning == "duration" and not is_unit(name))


@cache
def is_history(name: str) -> bool:
    """Whether the name says that it was there before: of a start, a birth, a baseline, the past, a year."""
    words = squeezed(name)
    early = bool((_HISTORY | _STARTS).intersection(words.split("_")))
    return early or words.startswith("lag") or words == "year"


@cache
def is_survival_target(name: str) -> bool:
    """Whether the target's name is that of an event indicator beside a survival time."""
    told = [p for p in squeezed(name).split("_") if p not in _FILLER or p in ("d", "e", "c")]
    told = [p.rstrip("0123456789") for p in told if not p.isdigit()]
    return bool(told) and all(_SURVIVAL_TARGET.fullmatch(p) for p in told)


_SEEN = re.compile(
    r"(alive|living|live|surviv\w*|dead|death|died|die|deceased|cens\w*|event|failed|failure|relapse\w*|recur\w*"
    r"|progress\w*|remission|lost|withdr\w*|transplant\w*|yes|no|y|n|true|false|t|f|\d+)"
)


@cache
def are_of_an_event(values: tuple[str, ...]) -> bool:
    """Whether a target's values are words for an event or its absence (`1: dead`); a grade's are not."""
    said = [squeezed(value).split("_") for value in values]
    return any(_SEEN.fullmatch(word) for words in said for word in words)


_TIMES, _FLAGS = "time|days|months|weeks|years|date|dt", "status|stat|event|ind|censor|cens|delta"


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
    words = squeezed(name)
    for kind, markers in (("time", _TIMES), ("flag", _FLAGS)):
        for form in (rf"({markers})_?(?P<stem>\w{{2,}})", rf"(?P<stem>\w+?)_?({markers})"):
            if found := re.fullmatch(form, words):
                return kind, found["stem"].strip("_")
        if found := re.fullmatch(rf"({markers})_(?P<stem>\w)", words):
            return kind, found["stem"]
    for kind, before, after in (("time", "t", "t"), ("flag", "de", "des")):
        if found := re.fullmatch(rf"[{before}](_?\w{{1,2}}|_\w+)", words):
            return kind, "_" + found[1].strip("_")
        if found := re.fullmatch(rf"(\w+)_([{after}])", words):
            return kind, found[1] + ("_s" if found[2] == "s" else "_")
    return None


def is_interval_start(name: str, stop: str) -> bool:
    """Whether the two names are those of an interval's start and stop."""
    pairs = (("start", "stop"), ("start", "end"), ("begin", "end"), ("entry", "exit"))
    first, second = squeezed(name), squeezed(stop)
    if first[-1:] == "0" and second == first[:-1] + "1":
        return first[:-1].strip("_") in _DURATION
    return any(a in first and first.replace(a, b) == second for a, b in pairs)


_EARLY = _words("baseline bl pre before start admission adm screening entry")
_LATE = _words("post after final end followup fu endpoint discharge exit")
_VISIT = re.compile(r"(w|wk|week|weeks|m|mo|month|months|v|visit|t|day|d)(\d+)")


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
        if parts[i] in _EARLY:
            return stem, "0"
        if parts[i] in _LATE:
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
    if not mine or not its or _HISTORY.intersection(squeezed(name).split("_")):
        return None
    if max(mine) > max(its):
        return f"named after a year later than the target's ({max(mine)}, {max(its)})"
    stems = {_YEAR.sub("", squeezed(n)).strip("_") for n in (name, target)}
    if max(mine) == max(its) and len(stems) == 1 and name != target:
        return f"named as the target's own quantity in the target's last year ({max(its)})"
    return None


def _years(name: str) -> list[int]:
    found = [int(y) for y in _YEAR.findall(squeezed(name))]
    return [y if y > 99 else 1900 + y for y in found]


def same_quantity_later(name: str, other: str) -> bool:
    """Whether `other` is what `name` is, in a later year."""
    mine, its = _years(name), _years(other)
    stems = {_YEAR.sub("", squeezed(n)).strip("_") for n in (name, other)}
    return bool(mine and its and max(its) > max(mine) and len(stems) == 1)
