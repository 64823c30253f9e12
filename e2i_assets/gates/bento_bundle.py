"""What protects its users from a bundle that answers otherwise than its model, or costs more than it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse
from e2i_assets.modeling.selection.one_row import TOLERANCE, gap


@dataclass(frozen=True)
class Answers:
    """Predictions of the same probe rows, one row each.

    Attributes:
        model, bundle: by the published model and by the bundle, all rows at once.
        alone: by the bundle, each row by itself; None where the same pipeline answers it.
        broken: the scope's constraints that the bundle breaks, by what was measured of it.
    """

    model: np.ndarray
    bundle: np.ndarray
    alone: np.ndarray | None
    broken: Sequence[str] = ()


MINIMUM_PROBES = 10


def _bundle_answers(answers: Answers) -> Verdict:
    probes = len(answers.model)
    if answers.model.shape != answers.bundle.shape or probes < MINIMUM_PROBES:
        return refuse(
            "too_few_answers" if probes else "nothing_evaluated",
            f"model and bundle answered {probes} and {len(answers.bundle)} probe rows; both must answer the "
            f"same, at least {MINIMUM_PROBES}.",
            "Give the validation split enough patients, and build the bundle again.",
            probes=probes,
        )
    if answers.alone is not None and answers.alone.shape != answers.model.shape:
        return refuse(
            "too_few_answers",
            f"alone, {len(answers.alone)} of {probes} probe rows were answered.",
            "Build the bundle again.",
            probes=probes,
        )
    ways = {"all at once": answers.bundle, "a row alone": answers.alone}
    asked = {way: given for way, given in ways.items() if given is not None}
    if not all(np.isfinite(given).all() for given in (answers.model, *asked.values())):
        return refuse(
            "not_finite",
            "model or bundle answered a probe row with something that is no number.",
            "Look at the features that are missing in the validation split, and train again.",
        )
    gaps = {way: gap(given, answers.model) for way, given in asked.items()}
    way, worst = max(gaps.items(), key=lambda item: item[1])
    if worst > TOLERANCE:
        return refuse(
            "bundle_differs",
            f"asked {way}, bundle and model differ by {worst:g}, more than {TOLERANCE:g}.",
            "Build the bundle again from the published model.",
            gap=worst,
        )
    if answers.broken:
        return refuse(
            "constraint_broken",
            f"the tuned model breaks the scope's selection, measured here: {', '.join(answers.broken)}.",
            "Loosen the scope's selection, or exclude the algorithm there.",
            broken=len(answers.broken),
        )
    return ok(
        f"bundle and model agree to {TOLERANCE:g} on {probes} rows, asked {' and as '.join(gaps)}", gap=worst
    )


BUNDLE_ANSWERS = Gate("bundle_answers", "The bundle gives the model's own predictions.", _bundle_answers)
