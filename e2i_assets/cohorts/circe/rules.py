"""Inclusion rules of a definition, group by group, as criteria of a cohort file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from e2i_assets.cohorts.circe.document import Node, refused
from e2i_assets.cohorts.circe.ranges import Comparison, concepts, date_range, whole_range
from e2i_assets.cohorts.circe.records import Events

INDEX_DATE = "diagnosis_date"
INDEX_END = "index_end_date"
AGE_BY_YEAR = "age_by_year"
GENDERS = {8507: "M", 8532: "F"}
EXACTLY, AT_MOST, AT_LEAST = 0, 1, 2
DEEPEST = 6
"""Groups within groups: a cohort file holds as many levels of keys."""
ASKS_NOTHING = "Remove it: everybody meets it."


@dataclass
class Rules:
    """Turns groups into criteria; remembers which attributes of the journeys they read."""

    events: Events
    attributes: set[str] = field(default_factory=set)

    def criterion(self, group: Node, name: str, rationale: str) -> dict[str, Any]:
        """The criterion of one rule.

        Raises:
            Refusal: the first construct in it that cannot be taken over.
        """
        stated = self._group(group, name, 1)
        return stated | {"description": name, "clinical_rationale": rationale}

    def _group(self, group: Node, name: str, level: int) -> dict[str, Any]:
        if level > DEEPEST:
            raise refused(group.path, f"groups are nested more than {DEEPEST} levels deep")
        kind, count = group.text("Type").upper() or "ALL", group.whole("Count")
        parts: list[dict[str, Any]] = []
        for i, node in enumerate(group.children("CriteriaList"), start=1):
            parts.append(self._correlated(node, f"{name}, {i}"))
        for node in group.children("DemographicCriteriaList"):
            parts.append(self._demographic(node, name, counted_out=kind == "AT_MOST"))
        for i, node in enumerate(group.children("Groups"), start=1):
            parts.append(self._group(node, f"{name}, group {i}", level + 1))
        group.done()
        if not parts:
            raise refused(group.path, "an empty group asks nothing", ASKS_NOTHING)
        bounds = _bounds(group, kind, count, len(parts))
        if len(parts) == 1 and "at_most" not in bounds:
            return parts[0] | ({"name": name} if "name" in parts[0] else {})
        return {"name": name, "of": parts} | bounds

    def _correlated(self, node: Node, name: str) -> dict[str, Any]:
        """One criterion on events around the index event."""
        criteria = node.child("Criteria")
        if criteria is None:
            raise node.refused_at("Criteria", "is missing", "Export the definition again.")
        event = self.events.use(criteria)
        observed = not node.flag("IgnoreObservationPeriod")
        stated: dict[str, Any] = {
            "name": name,
            "where": [{"field": "event_subtype", "operator": "==", "value": event}],
            "within_days": [None, None],
        }
        if window := node.child("StartWindow"):
            stated |= self._window(window, observed)
        stated |= _occurrence(node)
        if observed:
            stated["observed"] = True
        node.done(
            {
                "EndWindow": "Only one window, that of the event's start or of its end, can be asked: state "
                "the other as a criterion of its own, if any record may meet it.",
                "RestrictVisit": "Events do not name their visit: state a window of days.",
            }
        )
        return stated

    def _window(self, window: Node, observed: bool) -> dict[str, Any]:
        first, last = _day(window, "Start", -1, observed), _day(window, "End", 1, observed)
        if first is not None and last is not None and first > last:
            raise refused(window.path, "starts after its end", "Correct it.")
        stated: dict[str, Any] = {"within_days": [first, last]}
        if window.flag("UseEventEnd"):
            stated["dated_by"] = "end"
        if window.flag("UseIndexEnd"):
            stated["days_from"] = INDEX_END
            self.attributes.add(INDEX_END)
        window.done()
        return stated

    def _demographic(self, node: Node, name: str, *, counted_out: bool) -> dict[str, Any]:
        """What is asked of the person and of the index event itself."""
        parts: list[dict[str, Any]] = []
        if age := node.child("Age"):
            self.attributes.add(AGE_BY_YEAR)
            parts.append(_compared(AGE_BY_YEAR, whole_range(age), f"{name}, age"))
        if (gender := concepts(node, "Gender")) is not None:
            if counted_out:
                raise node.refused_at(
                    "Gender", "under AT_MOST those whose gender is not known could not be counted",
                    "Ask for the other gender in a group of ALL.",
                )  # fmt: skip
            if unknown := sorted(set(gender.value) - set(GENDERS)):
                raise node.refused_at(
                    "Gender", f"concept {unknown[0]} is neither 8507 (male) nor 8532 (female)"
                )
            parts.append(
                {"field": "gender", "operator": "in", "value": sorted({GENDERS[g] for g in gender.value})}
            )
        if starts := node.child("OccurrenceStartDate"):
            parts.append(_compared(INDEX_DATE, date_range(starts), f"{name}, index date"))
        if ends := node.child("OccurrenceEndDate"):
            self.attributes.add(INDEX_END)
            parts.append(_compared(INDEX_END, date_range(ends), f"{name}, end of the index event"))
        node.done(dict.fromkeys(("Race", "Ethnicity"), "Journeys do not tell it: remove it."))
        if not parts:
            raise refused(node.path, "asks nothing of the person", ASKS_NOTHING)
        return parts[0] if len(parts) == 1 else {"name": name, "of": parts}


def _day(window: Node, side: str, open_side: int, observed: bool) -> int | None:
    node = window.child(side)
    if node is None:
        raise window.refused_at(side, "is missing", "State it.")
    days, coefficient = node.whole("Days"), node.whole("Coeff")
    node.done()
    if coefficient not in (-1, 1):
        raise node.refused_at("Coeff", "is neither -1 nor 1", "Correct it.")
    if days is None:
        if observed and coefficient != open_side:
            raise refused(node.path, "is open to the side of the other end", "State the days.")
        return None
    if not 0 <= days <= 36_500:
        raise node.refused_at("Days", "is not between 0 and 36,500", "Correct it.")
    return days * coefficient


def _occurrence(correlated: Node) -> dict[str, Any]:
    """How many events: at least one where nothing is said."""
    node = correlated.child("Occurrence")
    if node is None:
        return {}
    kind, count = node.whole("Type"), node.whole("Count")
    if kind not in (EXACTLY, AT_MOST, AT_LEAST):
        raise node.refused_at("Type", "is none of 0 (exactly), 1 (at most) and 2 (at least)", "Correct it.")
    if count is None or count < 0:
        raise node.refused_at("Count", "is no number of events", "Correct it.")
    distinct, column = node.flag("IsDistinct"), node.text("CountColumn")
    node.done()
    if kind == AT_LEAST and count == 0:
        raise refused(node.path, "at least 0 events asks nothing", ASKS_NOTHING)
    stated: dict[str, Any] = {"at_least": count}
    if kind != AT_LEAST:
        stated = {"at_least": count if kind == EXACTLY else 0, "at_most": count}
    # Whether there is one at all is the same for events and for what differs among them.
    if distinct and not (count == 0 or (kind == AT_LEAST and count == 1)):
        if column != "START_DATE":
            what = column or "DOMAIN_CONCEPT"
            raise node.refused_at(
                "CountColumn", f"different {what} cannot be counted", "Count all, or different start dates."
            )
        stated["distinct"] = "event_date"
    return stated


def _bounds(group: Node, kind: str, count: int | None, parts: int) -> dict[str, Any]:
    """How many criteria of a group are to be met, as `at_least` and `at_most`; nothing: all."""
    if kind == "ALL":
        return {}
    if kind == "ANY":
        return {"at_least": 1}
    if kind not in ("AT_LEAST", "AT_MOST"):
        raise group.refused_at("Type", "is none of ALL, ANY, AT_LEAST and AT_MOST", "Correct it.")
    if count is None or count < 0:
        raise group.refused_at("Count", "is no number of criteria", "Correct it.")
    if kind == "AT_MOST":
        return {"at_most": count}
    if count == 0:
        raise refused(group.path, "at least 0 criteria asks nothing", ASKS_NOTHING)
    if count > parts:
        raise group.refused_at("Count", f"{count} of {parts} criteria can never be met", "Correct it.")
    return {"at_least": count}


def _compared(column: str, comparison: Comparison, name: str) -> dict[str, Any]:
    if comparison.operator != "not_between":
        return {"field": column, "operator": comparison.operator, "value": comparison.value}
    low, high = comparison.value
    below, above = ({"field": column, "operator": o, "value": v} for o, v in (("<", low), (">", high)))
    return {"name": name, "of": [below, above], "at_least": 1}
