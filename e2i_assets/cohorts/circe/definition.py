"""A whole definition: its index event, its rules, and the two files that they become."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from e2i_assets.cohorts.circe.concept_sets import read_concept_sets
from e2i_assets.cohorts.circe.document import CirceError, Node, Refusal, Refusals, read_document
from e2i_assets.cohorts.circe.records import Events
from e2i_assets.cohorts.circe.rules import AGE_BY_YEAR, INDEX_DATE, INDEX_END, Rules
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.config_files import parse_settings, yaml_text
from e2i_assets.ingest.mapping import Mapping

EXITS = ("EndStrategy", "CensoringCriteria")
"""What says when a member leaves the cohort, and not who enters: it may be left out, when that is stated."""
ATTRIBUTES: dict[str, dict[str, Any]] = {
    AGE_BY_YEAR: {
        "dtype": "integer", "available_at": "index", "unit": "years",
        "description": "Year of the index date less year of birth, the age of OHDSI's definitions",
    },
    INDEX_END: {
        "dtype": "date", "role": "time", "available_at": "outcome",
        "description": "Day on which the index event ends",
    },
}  # fmt: skip
UNLIKE_ATLAS = (
    "observation periods that touch are one, and observation ends with death and with as_of; ATLAS takes the "
    "periods as they are recorded"
)
LIMITS = ("ALL", "FIRST", "LAST")
FIRST_OF_ALL = "Set the limit of initial events to the earliest (or latest) event per person."


@dataclass(frozen=True)
class Definition:
    """What a Circe definition became.

    Attributes:
        config: the cohort.
        cohort, mapping: the two files, as YAML.
        rules: names of the inclusion rules, in the order of the criteria.
        notes: what a person should know of it.
    """

    config: CohortConfig
    cohort: str
    mapping: str
    rules: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What a definition does not tell: the partition, the day of the CDM, and what to do without."""

    brand: str
    indication: str
    as_of: dt.date
    source: str = "OMOP CDM"
    leave_out: tuple[str, ...] = ()


def import_definition(path: Path, asked: Asked) -> Definition:
    """Read a Circe definition, or ATLAS's export of one, as a cohort file and a mapping of an OMOP CDM.

    Raises:
        CirceError: the file is none, or each construct that cannot be taken over, with its path and why.
    """
    expression, name, description = read_document(path)
    refusals = Refusals(path)
    try:
        translated = _translated(expression, refusals, asked)
        expression.done()
    except Refusal as refusal:
        refusals.found.append(refusal.summary)
    refusals.raise_any()
    left_out = [
        f"{part} was left out: members are followed to the end of observation" for part in asked.leave_out
    ]
    title = name or expression.text("Title") or path.stem
    rationale = "; ".join([description or f"As {title} defines it in ATLAS", *left_out])
    cohort = {
        "cohort_name": title,
        "brand": asked.brand,
        "indication": asked.indication,
        "version": "1.0.0",
        "clinical_rationale": rationale,
        "scopes": [],
        "required_tables": ["patient_journeys", "treatment_events"],
        "inclusion_criteria": translated.criteria,
        "temporal_requirements": {
            "lookback_days": translated.index["prior_days"],
            "followup_days": translated.index["post_days"],
            "index_date_field": INDEX_DATE,
        },
        "attributes": {key: ATTRIBUTES[key] for key in ATTRIBUTES if key in translated.attributes},
    }
    mapping = {
        "source": asked.source,
        "omop": {
            "brand": asked.brand,
            "indication": asked.indication,
            "as_of": asked.as_of,
            "concept_sets": translated.concept_sets,
            "events": translated.events,
            "index": translated.index,
            "visits": False,
            "attributes": sorted(translated.attributes),
        },
    }
    notes = (UNLIKE_ATLAS, *left_out, *translated.notes)
    return _checked(path, cohort, mapping, tuple(translated.rules), notes)


@dataclass(frozen=True)
class Translated:
    """The parts of both files."""

    concept_sets: dict[str, Any]
    events: dict[str, Any]
    index: dict[str, Any]
    criteria: list[dict[str, Any]]
    rules: list[str]
    attributes: set[str]
    notes: tuple[str, ...]


def _translated(expression: Node, refusals: Refusals, asked: Asked) -> Translated:
    for key in ("cdmVersionRange", "Title"):
        expression.take(key)
    sets = read_concept_sets(expression, refusals)
    refusals.raise_any()  # criteria that ask for a set that was refused would be, too
    events = Events(sets)
    index = _index(expression, events, refusals)
    rules = Rules(events)
    criteria, names = [], []
    if additional := expression.child("AdditionalCriteria"):
        with refusals.collect():
            entry = "Entry: additional criteria of the index event"
            criteria.append(rules.criterion(additional, entry, "Who does not meet them has no index event."))
    for number, node in enumerate(expression.children("InclusionRules"), start=1):
        with refusals.collect():
            name = node.text("name") or f"Rule {number}"
            group = node.child("expression")
            if group is None:
                raise node.refused_at("expression", "is missing", "Export the definition again.")
            criteria.append(rules.criterion(group, name, node.text("description") or name))
            names.append(name)
            node.done()
    with refusals.collect():
        _check_limits(expression)
    with refusals.collect():
        _check_exits(expression, asked.leave_out)
    unused = tuple(f"no criterion asks for the concept set {name}: it was left out" for name in sets.unused())
    return Translated(sets.declared(), events.declared, index, criteria, names, rules.attributes, unused)


def _index(expression: Node, events: Events, refusals: Refusals) -> dict[str, Any]:
    primary = expression.child("PrimaryCriteria")
    assert primary is not None, "the document was read as a definition"
    names: list[str] = []
    for node in primary.children("CriteriaList"):
        with refusals.collect():
            names.append(events.use(node))
    if not names and not refusals.found:
        raise primary.refused_at("CriteriaList", "names no initial event", "Add one.")
    days = {"PriorDays": 0, "PostDays": 0}
    if window := primary.child("ObservationWindow"):
        for key in days:
            days[key] = window.whole(key) or 0
            if not 0 <= days[key] <= 36_500:
                raise window.refused_at(key, "is not between 0 and 36,500 days", "Correct it.")
        window.done()
    limit = _limit(primary, "PrimaryCriteriaLimit")
    primary.done()
    if limit == "ALL":
        limit = _limit(expression, "ExpressionLimit")
    return {
        "events": list(dict.fromkeys(names)),
        "limit": "last" if limit == "LAST" else "first",
        "prior_days": days["PriorDays"],
        "post_days": days["PostDays"],
    }


def _limit(node: Node, key: str) -> str:
    stated = node.child(key)
    kind = (stated.text("Type").upper() if stated else "") or "FIRST"
    if kind not in LIMITS:
        raise node.refused_at(key, "is none of All, First and Last", "Correct it.")
    return kind


def _check_limits(expression: Node) -> None:
    """A person has one index event: it must be known before any rule is looked at."""
    primary = Node.of(expression.content["PrimaryCriteria"], expression.at("PrimaryCriteria"))
    of_all = _limit(primary, "PrimaryCriteriaLimit") == "ALL"
    # Without additional criteria the reference engine does not apply the qualified limit.
    _, entries = (_limit(expression, key) for key in ("QualifiedLimit", "ExpressionLimit"))
    if not of_all:
        return
    if expression.has("AdditionalCriteria") or expression.has("InclusionRules"):
        raise primary.refused_at(
            "PrimaryCriteriaLimit", "All: which event is the index event would depend on the rules that it "
            "meets, and a cohort has one index date per person", FIRST_OF_ALL,
        )  # fmt: skip
    if entries == "ALL":
        raise expression.refused_at(
            "ExpressionLimit", "All: a person would enter several times, and a cohort has one index date per "
            "person", FIRST_OF_ALL,
        )  # fmt: skip


def _check_exits(expression: Node, leave_out: tuple[str, ...]) -> None:
    """Members are followed to the end of their observation; eras of one event need no collapsing."""
    for key in EXITS:
        if expression.has(key) and key not in leave_out:
            raise expression.refused_at(
                key, "members are followed to the end of their observation, and do not leave before",
                f"Who is a member does not depend on it: import again with --leave-out {key} to do without "
                "it, and state the horizon in the scope.",
            )  # fmt: skip
        expression.take(key)
    if collapse := expression.child("CollapseSettings"):
        if (kind := collapse.text("CollapseType").upper()) not in ("", "ERA"):
            raise collapse.refused_at("CollapseType", f"{kind[:20]} is not ERA", "Correct it.")
        collapse.whole("EraPad")  # one event per person: there is nothing to collapse
        collapse.done()


def _checked(
    path: Path,
    cohort: dict[str, Any],
    mapping: dict[str, Any],
    rules: tuple[str, ...],
    notes: tuple[str, ...],
) -> Definition:
    """Both files as text, read back as they will be."""
    texts = [yaml_text(part) for part in (cohort, mapping)]
    content, lines = parse_settings(texts[0], path)
    try:
        config = CohortConfig.model_validate(content)
    except ValidationError as error:
        mistakes = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        raise CirceError(f"{path}: is no cohort of ours: {mistakes}") from None
    Mapping.from_text(texts[1], lines.path)
    return Definition(config, texts[0], texts[1], rules, notes)
