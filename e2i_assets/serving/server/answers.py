"""What a client gets of what a pipeline gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEANS = {
    "probability": "the probability of the positive class, and the probabilities [negative, positive]",
    "class": "the most probable class, and the probability of each class",
    "value": "the predicted value",
    "effect": "the effect of the treatment with its 95 % interval, beside the average effect",
}


def told(given: Any, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an answer that are the model's.

    Args:
        given: of the pipeline, a row for each row of features; columns as `answer` has them.
        answer: the `answer` of a bundle's schema.
    """
    if answer["gives"] == "value":
        return {"predictions": given.tolist()}
    if answer["gives"] == "effect":
        return _effects(given, answer["line"])
    rows, labels = given.tolist(), answer["labels"]
    if answer["gives"] == "probability":
        return {"predictions": [row[-1] for row in rows], "probabilities": rows}
    return {
        "predictions": [labels[best] for best in given.argmax(axis=1)],
        "probabilities": [dict(zip(labels, row, strict=True)) for row in rows],
    }


def _effects(given: Any, line: Mapping[str, float]) -> dict[str, Any]:
    """Effects with their intervals, by the line that was fitted on held-out patients."""
    beyond = given - line["centre"]
    effects = line["level"] + line["slope"] * beyond
    variance = line["var_level"] + 2 * line["cov"] * beyond + line["var_slope"] * beyond**2
    reach = line["reach"] * variance**0.5
    return {
        "predictions": effects.tolist(),
        "lower_bounds": (effects - reach).tolist(),
        "upper_bounds": (effects + reach).tolist(),
        "ate": line["average"],
        "ate_std": line["average_error"],
    }
