"""Ranges of numbers and dates, and lists of concepts, as operators and values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from e2i_assets.cohorts.circe.document import Node, refused

OPERATORS = {
    "lt": "<", "lte": "<=", "eq": "==", "!eq": "!=", "gt": ">", "gte": ">=", "bt": "between",
    "!bt": "not_between",
}  # fmt: skip
PLACES = 4
"""Decimal places to which the reference engine writes a number that may have a fraction."""


@dataclass(frozen=True)
class Comparison:
    """How a value is compared; the operators are those of a mapping's records."""

    operator: str
    value: Any


def whole_range(node: Node) -> Comparison:
    """A range of whole numbers.

    Raises:
        Refusal: it has no value, an unknown operator, or a fraction.
    """
    return _range(node, node.whole)


def number_range(node: Node) -> Comparison:
    """A range of numbers, to four decimal places."""

    def rounded(key: str) -> float | None:
        number = node.number(key)
        return None if number is None else round(float(number), PLACES)

    return _range(node, rounded)


def date_range(node: Node) -> Comparison:
    """A range of days."""

    def day(key: str) -> dt.date | None:
        text = node.text(key)
        if not text:
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            raise node.refused_at(key, f"{text[:20]} is no day as 2024-01-31", "Correct it.") from None

    return _range(node, day)


def _range(node: Node, read: Any) -> Comparison:
    operator = OPERATORS.get(node.text("Op").lower())
    if operator is None:
        raise node.refused_at("Op", f"is none of {', '.join(OPERATORS)}", "Correct it.")
    low = read("Value")
    if low is None:
        raise node.refused_at("Value", "is missing, so nothing is asked", "State it, or remove the range.")
    if not operator.endswith("between"):
        node.take("Extent")  # ATLAS leaves it behind when the operator changes
        node.done()
        return Comparison(operator, low)
    high = read("Extent")
    if high is None or high < low:
        raise node.refused_at("Extent", "is missing, or less than Value", "Correct it.")
    node.done()
    return Comparison(operator, [low, high])


def concepts(node: Node, key: str, *, exclude: bool = False) -> Comparison | None:
    """Concepts that a value is one of, or none of; None where the list is empty.

    Raises:
        Refusal: one has no id.
    """
    ids = [concept_id(concept) for concept in node.children(key)]
    return Comparison("not_in" if exclude else "in", ids) if ids else None


def concept_id(node: Node) -> int:
    """The id of a concept; all else that is said of it is for people."""
    number = node.whole("CONCEPT_ID")
    if number is None:
        raise refused(node.at("CONCEPT_ID"), "is missing", "Export the definition again.")
    return number
