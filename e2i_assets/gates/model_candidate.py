"""What stops a question that the data cannot answer, before anything is chosen, tuned or trained for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.modeling.scopes.answerable import Answerability


def _answerable(evidence: Answerability) -> Verdict:
    figures = {
        "patients": evidence.patients,
        "known": evidence.known,
        "events": evidence.events,
        "features": evidence.features,
    }
    if evidence.obstacles:
        first = evidence.obstacles[0]
        messages = "; ".join(obstacle.message for obstacle in evidence.obstacles)
        return refuse(first.code, f"{messages}.", first.next_step, **figures)
    if not evidence.known or not evidence.features:
        return refuse(
            "nothing_evaluated",
            "no patient with a known outcome, or no feature, was looked at.",
            "Look at the features and outcomes of the partition.",
        )
    sizes = f"{evidence.known} patients of train with a known outcome, {evidence.features} features"
    return ok("; ".join([sizes, *evidence.remarks]), **figures)


ANSWERABLE = Gate("answerable", "The partition's data can answer the scope.", _answerable, ("ModelingError",))
