"""Whether libraries of others say of an effect what we do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.causal.cross_validation import CrossValidation
    from e2i_assets.causal.report import EffectReport


@dataclass(frozen=True)
class Compared:
    """Our estimate of the effect, and those of the libraries of the effect on all."""

    report: EffectReport
    validation: CrossValidation


def _libraries_agree(compared: Compared) -> Verdict:
    validation, effect = compared.validation, compared.report.effect
    figures = {
        "agreement": validation.agreement_score, "consensus": validation.consensus_effect,
        "libraries": sum(library.effect is not None for library in validation.libraries),
    }  # fmt: skip
    if not validation.passed:
        return refuse(
            f"libraries_{validation.status}",
            validation.summary,
            "Read each library's estimate in the metadata; where they differ, the effect rests on how it is"
            " estimated. A library that failed is to be mended first.",
            **figures,
        )
    low, high = validation.consensus_interval or (0.0, 0.0)
    if compared.report.estimand == "ate" and (effect is None or not low <= effect.estimate <= high):
        return refuse(
            "estimate_outside",
            f"the estimate is outside what the libraries say ({low:.4g} to {high:.4g})",
            "Compare the nuisance models of both: one of them misses something.",
            **figures,
        )
    return ok(validation.summary, **figures)


LIBRARIES_AGREE = Gate(
    "libraries_agree",
    "DoWhy, EconML and CausalML have an estimate each, and nothing sets two of them or ours apart.",
    _libraries_agree,
)
