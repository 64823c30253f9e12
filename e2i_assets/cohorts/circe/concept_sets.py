"""Concept sets of a definition, as a mapping of a CDM has them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from e2i_assets.cohorts.circe.document import Node, Refusals, refused
from e2i_assets.cohorts.circe.ranges import concept_id

LONGEST_NAME = 60


@dataclass
class ConceptSets:
    """The sets by their number in the definition; those that a criterion names are used."""

    names: dict[int, str] = field(default_factory=dict)
    contents: dict[int, dict[str, Any]] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)

    def use(self, node: Node, key: str) -> str | None:
        """The name of the set that a criterion asks for; None where it asks for none.

        Raises:
            Refusal: there is no such set, or nothing is in it.
        """
        number = node.whole(key)
        if number is None:
            return None
        if number not in self.names:
            raise node.refused_at(key, f"there is no concept set {number}", "Choose one that is there.")
        if not self.contents[number]["concepts"]:
            raise node.refused_at(
                key, f"nothing is in the concept set {self.names[number]}", "Put concepts into it."
            )
        self.used.add(number)
        return self.names[number]

    def declared(self) -> dict[str, Any]:
        """The used sets, as `concept_sets` of a mapping."""
        return {self.names[number]: self.contents[number] for number in self.names if number in self.used}

    def unused(self) -> list[str]:
        """Names of sets that no criterion asks for."""
        return [name for number, name in self.names.items() if number not in self.used]


def read_concept_sets(expression: Node, refusals: Refusals) -> ConceptSets:
    """All sets of a definition; two of one name are told apart by a number."""
    sets = ConceptSets()
    for node in expression.children("ConceptSets"):
        with refusals.collect():
            number = node.whole("id")
            if number is None or number in sets.names:
                raise node.refused_at("id", "is missing, or that of another set", "Number the sets apart.")
            name = unique(slug(node.text("name")) or f"set_{number}", sets.names.values())
            contents = _contents(node.child("expression"), node)
            node.done()
            sets.names[number], sets.contents[number] = name, contents
    return sets


def _contents(expression: Node | None, concept_set: Node) -> dict[str, Any]:
    if expression is None:
        raise refused(concept_set.at("expression"), "is missing", "Export the definition again.")
    included: list[int | dict[str, Any]] = []
    excluded: list[int | dict[str, Any]] = []
    for item in expression.children("items"):
        concept = item.child("concept")
        if concept is None:
            raise item.refused_at("concept", "is missing", "Export the definition again.")
        stated: dict[str, Any] = {"id": concept_id(concept)}
        if not item.flag("includeDescendants"):
            stated["descendants"] = False
        if item.flag("includeMapped"):
            stated["mapped"] = True
        (excluded if item.flag("isExcluded") else included).append(
            stated if len(stated) > 1 else stated["id"]
        )
        item.done()
    expression.done()
    return {"concepts": included} | ({"exclude": excluded} if excluded else {})


def slug(text: str) -> str:
    """Lower-case words joined, of at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower())[:LONGEST_NAME].strip("_")


def unique(name: str, others: Collection[str]) -> str:
    """The name, with a number where it is another's already."""
    candidate, number = name, 1
    while candidate in others:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
