"""What protects users from a deployment that is none, and from a model that does worse than was said."""

from __future__ import annotations

from dataclasses import dataclass

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse
from e2i_assets.modeling.evaluation.holdout import HoldoutEvaluation


@dataclass(frozen=True)
class Answering:
    """What the address of a model answers with, asked once its release is on record.

    Attributes:
        wanted: the version that was deployed.
        answered: the version that the service says it has; None where there is no answer, or no such model.
        release, wanted_release: that the service is of, and should be of.
    """

    model_name: str
    wanted: int
    answered: int | None
    wanted_release: str
    release: str | None


def _release_answers(answering: Answering) -> Verdict:
    if (answering.answered, answering.release) != (answering.wanted, answering.wanted_release):
        return refuse(
            "other_version_answers" if answering.answered is not None else "no_answer",
            f"release {answering.wanted_release} with version {answering.wanted} of {answering.model_name} "
            f"was deployed; version {answering.answered} of release {answering.release} answers.",
            "Look at `e2i deploy status`, and materialize the deployment again.",
            wanted=answering.wanted,
            answered=answering.answered,
        )
    return ok(f"version {answering.wanted} of {answering.model_name} answers", version=answering.wanted)


RELEASE_ANSWERS = Gate(
    "release_answers", "The deployed version answers at the address that users ask.", _release_answers
)


def _holdout_as_test(result: HoldoutEvaluation) -> Verdict:
    worse, noise = result.worse_by, result.noise
    figures = {
        "holdout": result.holdout.value, "test": result.test.value, "worse_by": worse, "noise": noise,
        "rows": result.rows,
    }  # fmt: skip
    if worse is None or noise is None:
        reason = result.unavailable.get(result.metric, "it has no interval")
        return refuse(
            "not_comparable",
            f"{result.metric} cannot be compared on {result.rows} patients of holdout: {reason}.",
            "Load more patients; a model is then trained and judged anew.",
            **figures,
        )
    figures_of_both = (
        f"{result.metric} {result.holdout.value:.4g} on holdout, {result.test.value:.4g} on test"
    )
    if worse > noise:
        return refuse(
            "worse_than_test",
            f"{figures_of_both}: worse by {worse:.4g}, where chance explains {noise:.4g}.",
            "Roll back (`e2i deploy rollback`), and look for what differs: what test said does not hold.",
            **figures,
        )
    return ok(f"{figures_of_both}; chance explains a difference of {noise:.4g}", **figures)


HOLDOUT_AS_TEST = Gate(
    "holdout_as_test",
    "On holdout, through the live endpoint, the model is not worse than on test beyond chance.",
    _holdout_as_test,
)
