"""What protects a model from a preprocessor that has seen more than train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2i_assets.gates.verdict import Gate, Verdict, ok, refuse

if TYPE_CHECKING:
    from e2i_assets.modeling.preprocessing.refit import FitCheck


def _fitted_on_train(check: FitCheck) -> Verdict:
    if check.violations:
        return refuse(
            "not_train_alone",
            f"statistics that are not those of train: {'; '.join(check.violations[:5])}.",
            "Fit the preprocessor on the train split only; exclude features that have no value there.",
            violations=len(check.violations),
        )
    if not check.compared:
        return refuse(
            "nothing_evaluated", "the preprocessor has no feature to compare.", "Name features in the scope."
        )
    return ok("every statistic of the preprocessor is that of train alone", features=check.compared)


FITTED_ON_TRAIN = Gate(
    "fitted_on_train", "The fitted statistics are recomputed from train and must agree.", _fitted_on_train
)
