"""The twelve algorithms: what each promises before anything is measured.

One line each. A problem type says which of them it can run, and how (`algorithms`); the causal ones
need a treatment (`causal.learners`). Latency and memory are the guide's planning figures, or for those it
does not list ours in its manner: they only rank. What a scope allows is compared with what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Family = Literal["causal_ml", "gradient_boosting", "ensemble", "linear"]

INTERPRETABLE = 0.7
"""From the guide: the score that counts as interpretable."""
_COEFFICIENTS = "one coefficient per feature tells direction and size"
_BOOSTED = "many small trees added up; only importances and SHAP tell of it"
_AVERAGED = "many deep trees averaged; only importances and SHAP tell of it"


@dataclass(frozen=True)
class Profile:
    """One algorithm, whatever it is asked.

    Attributes:
        interpretability: 0 to 1; 0.7 and more counts as interpretable.
        because: why it has that interpretability.
        latency_ms, memory_gb: per prediction and while serving, as planned, not measured.
        scalability: 0 to 1, how well it does with many rows.
        success_of_classes, success_of_numbers: how often it did well there, before there are records of it.
    """

    name: str
    family: Family
    interpretability: float
    because: str
    latency_ms: float
    memory_gb: float
    scalability: float
    success_of_classes: float
    success_of_numbers: float


CATALOGUE: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("XGBoost", "gradient_boosting", 0.6, _BOOSTED, 20, 2.0, 0.8, 0.78, 0.75),
        Profile("LightGBM", "gradient_boosting", 0.6, _BOOSTED, 15, 1.5, 0.95, 0.76, 0.73),
        Profile("RandomForest", "ensemble", 0.5, _AVERAGED, 30, 3.0, 0.7, 0.72, 0.70),
        Profile("ExtraTrees", "ensemble", 0.5, _AVERAGED, 30, 3.0, 0.7, 0.70, 0.68),
        Profile("LogisticRegression", "linear", 1.0, _COEFFICIENTS, 1, 0.1, 1.0, 0.65, 0.65),
        Profile("Ridge", "linear", 1.0, _COEFFICIENTS, 1, 0.1, 1.0, 0.60, 0.60),
        Profile("Lasso", "linear", 1.0, f"{_COEFFICIENTS}, most of them 0", 1, 0.1, 1.0, 0.58, 0.58),
        Profile(
            "CausalForest", "causal_ml", 0.7, "groups with a like effect, and an interval for each effect",
            50, 4.0, 0.8, 0.72, 0.68,
        ),
        Profile(
            "LinearDML", "causal_ml", 0.9, "one coefficient per feature tells how it moves the effect",
            10, 1.0, 0.9, 0.68, 0.64,
        ),
        Profile(
            "DRLearner", "causal_ml", 0.8, "a linear effect with intervals, on nuisance models that are none",
            20, 1.5, 0.8, 0.5, 0.5,
        ),
        Profile(
            "XLearner", "causal_ml", 0.4, "models of what others left over; only the effect can be shown",
            30, 2.0, 0.7, 0.5, 0.5,
        ),
        Profile(
            "TLearner", "causal_ml", 0.5, "one model for each arm; the effect is their difference",
            30, 2.0, 0.8, 0.5, 0.5,
        ),
    )
}  # fmt: skip
"""By name; of the guide's eight its own figures."""
CAUSAL = tuple(name for name, profile in CATALOGUE.items() if profile.family == "causal_ml")
"""Those that tell effects."""
