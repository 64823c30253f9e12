"""What protects its users from a bundle that answers otherwise than its model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse


@dataclass(frozen=True)
class Answers:
    """Predictions of the same probe rows by the model and by the bundle, one row each."""

    model: np.ndarray
    bundle: np.ndarray


TOLERANCE = 1e-6
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
    if not (np.isfinite(answers.model).all() and np.isfinite(answers.bundle).all()):
        return refuse(
            "not_finite",
            "model or bundle answered a probe row with something that is no number.",
            "Look at the features that are missing in the validation split, and train again.",
        )
    gap = float(abs(answers.model - answers.bundle).max())
    if gap <= TOLERANCE:
        return ok(f"bundle and model agree to {TOLERANCE:g} on {len(answers.model)} rows", gap=gap)
    return refuse(
        "bundle_differs",
        f"bundle and model differ by {gap:g}, more than {TOLERANCE:g}.",
        "Build the bundle again from the published model.",
        gap=gap,
    )


BUNDLE_ANSWERS = Gate("bundle_answers", "The bundle gives the model's own predictions.", _bundle_answers)
