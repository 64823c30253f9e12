"""What protects its users from effects told apart for patients where that is no better than one for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.causal.cate import CateChoice

CONSTANT_SERVED = "constant_effect_served"
"""Reason of a gate that lets the constant effect pass, because no learner beat it."""


@dataclass(frozen=True)
class Chosen:
    """What is to be published, and the contest that it follows from.

    Attributes:
        constant: whether it is the constant effect.
    """

    constant: bool
    choice: CateChoice


def _beats_constant_effect(chosen: Chosen) -> Verdict:
    choice, best = chosen.choice, chosen.choice.best
    if not choice.rows or not choice.folds:
        return refuse(
            "nothing_evaluated", "no patient was held out to compare effects on.", "Load more patients."
        )
    if best is None:
        summary = "no learner could be fitted"
        figures: dict[str, float | str] = {"critical": choice.critical}
    else:
        summary = (
            f"{best.learner}'s R-loss on held-out patients is {best.gain:+.4g} better than the constant "
            f"effect's, {best.in_noises:.2f} standard errors; from {choice.critical:.2f} on it is more than "
            "chance"
        )
        figures = {
            "learner": best.learner, "r_loss": best.r_loss, "r_loss_constant": choice.constant_loss,
            "gain": best.gain, "noise": best.noise, "in_noises": best.in_noises, "critical": choice.critical,
        }  # fmt: skip
    if choice.beats_constant:
        if chosen.constant:
            return ok(f"the constant effect is what is published, although {summary}", **figures)
        return ok(summary, **figures)
    if chosen.constant:
        message = f"the constant effect is what is published and served: {summary}"
        return Verdict(True, CONSTANT_SERVED, message, ok("", **figures).figures)
    return refuse(
        "not_better_than_constant",
        f"effects that differ between patients may not be served: {summary}.",
        "Serve the constant effect, or look for effects in more patients.",
        **figures,
    )


BEATS_CONSTANT_EFFECT = Gate(
    "beats_constant_effect",
    "Effects that differ between patients are published only where they are better than one for all by more "
    "than noise; else the constant effect is.",
    _beats_constant_effect,
)
