"""Two versions of a definition: which criteria differ, and what that does to who is eligible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from e2i_assets.cohorts.attrition import CohortResult, EligibilityLogEntry
from e2i_assets.cohorts.config import JOURNEY_KEY, CohortConfig
from e2i_assets.cohorts.constructor import CohortConstructor
from e2i_assets.cohorts.criterion import AnyCriterion

CRITERIA = ("inclusion_criteria", "exclusion_criteria")


@dataclass(frozen=True)
class CriterionChange:
    """One criterion that differs; `reworded` is the same rule with another description or rationale."""

    change: Literal["added", "dropped", "changed", "reworded"]
    criterion_type: Literal["inclusion", "exclusion"]
    criterion_name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class SettingChange:
    """One other part of the definition that differs: a window, the version, an attribute."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class DefinitionDiff:
    """What turns one definition into the other; nothing when they are the same."""

    criteria: tuple[CriterionChange, ...]
    settings: tuple[SettingChange, ...]


@dataclass(frozen=True)
class Effect:
    """Both definitions on the same data, and how many journeys only one of them takes."""

    before: CohortResult
    after: CohortResult
    stayed: int
    gained: int
    lost: int


def diff_definitions(before: CohortConfig, after: CohortConfig) -> DefinitionDiff:
    """Criteria are the same when their rule is; else those of one name belong together, in their order."""
    changes = [
        *_changes("inclusion", before.inclusion_criteria, after.inclusion_criteria),
        *_changes("exclusion", before.exclusion_criteria, after.exclusion_criteria),
    ]
    one, other = (_flat(config.model_dump(mode="json")) for config in (before, after))
    settings = [
        SettingChange(name, one.get(name), other.get(name))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    return DefinitionDiff(tuple(changes), tuple(settings))


def effect_of(before: CohortConfig, after: CohortConfig, journeys: Any, events: Any = None) -> Effect:
    """Construct both cohorts from the same journeys, which must have `patient_journey_id`.

    Raises:
        CohortError: one of them cannot be constructed from these data.
    """
    (one, first), (other, second) = (
        CohortConstructor(config).construct_cohort(journeys, events) for config in (before, after)
    )
    keys, keys_after = (set(pl.Series(members[JOURNEY_KEY])) for members in (one, other))
    return Effect(first, second, len(keys & keys_after), len(keys_after - keys), len(keys - keys_after))


def zip_rules(
    before: CohortResult, after: CohortResult
) -> list[tuple[str, tuple[EligibilityLogEntry | None, EligibilityLogEntry | None]]]:
    """The log entries of both by rule; rules of one name belong together in their order."""
    sides = [_numbered(result.eligibility_log) for result in (before, after)]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    kinds = ("inclusion", "exclusion", "temporal")
    return [
        (key[1], (sides[0].get(key), sides[1].get(key)))
        for key in sorted(keys, key=lambda key: kinds.index(key[0]))
    ]


def _numbered(
    log: Sequence[EligibilityLogEntry],
) -> dict[tuple[str, str, int], EligibilityLogEntry]:
    seen: Counter[tuple[str, str]] = Counter()
    numbered: dict[tuple[str, str, int], EligibilityLogEntry] = {}
    for entry in log:
        rule = (entry.criterion_type, entry.criterion_name)
        numbered[(*rule, seen[rule])] = entry
        seen[rule] += 1
    return numbered


def _changes(
    kind: Literal["inclusion", "exclusion"],
    before: Sequence[AnyCriterion],
    after: Sequence[AnyCriterion],
) -> Iterator[CriterionChange]:
    left = list(after)
    unmatched = []
    for criterion in before:
        same = next((c for c in left if c.condition == criterion.condition), None)
        if same is None:
            unmatched.append(criterion)
            continue
        left.remove(same)
        if same != criterion:
            yield CriterionChange("reworded", kind, criterion.name, _texts(criterion), _texts(same))
    for criterion in unmatched:
        other = next((c for c in left if c.name == criterion.name), None)
        if other is None:
            yield CriterionChange("dropped", kind, criterion.name, criterion.condition, None)
            continue
        left.remove(other)
        yield CriterionChange("changed", kind, criterion.name, criterion.condition, other.condition)
    for criterion in left:
        yield CriterionChange("added", kind, criterion.name, None, criterion.condition)


def _texts(criterion: AnyCriterion) -> str:
    return " — ".join(text for text in (criterion.description, criterion.clinical_rationale) if text)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Everything but the criteria, by dotted path."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if name in CRITERIA and not prefix:
            continue
        nested = isinstance(value, dict) and value
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat
