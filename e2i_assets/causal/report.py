"""What is said of an effect: plain figures, which `json_files.to_json` writes and `from_json` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.nuisance import NuisanceFit

Estimand = Literal["ate", "att", "ato", "trimmed"]
Status = Literal["effect", "no_effect_shown", "not_identified"]
Reason = Literal[
    "no_overlap",
    "treatment_decided",
    "too_few",
    "known_afterwards",
    "weak_instruments",
    "instruments_disagree",
]


@dataclass(frozen=True)
class Effect:
    """An estimate with its 95 % interval; `p` is two-sided, of no effect."""

    estimate: float
    low: float
    high: float
    p: float
    standard_error: float


@dataclass(frozen=True)
class Overlap:
    """Whether both arms are found among rows of every kind.

    Attributes:
        quantiles_treated, quantiles_control: of the propensity at 0, 5, 25, 50, 75, 95 and 100 %.
        histogram_treated, histogram_control: rows of each arm in twenty equal bins of the propensity.
        share_outside: of all rows, those with a propensity outside [0.05, 0.95].
        unsupported: of those whose effect is asked for, the share among rows of the lowest, or the highest,
            propensities in which an arm is as good as absent.
        unknown: of those, the share in whom the outcome is as good as never known.
        effective_treated, effective_control: rows of equal weight that would say as much (Kish).
        auc: how well covariates tell who was treated; 0.5 by lot.
    """

    quantiles_treated: tuple[float, ...]
    quantiles_control: tuple[float, ...]
    histogram_treated: tuple[int, ...]
    histogram_control: tuple[int, ...]
    share_outside: float
    unsupported: float
    effective_treated: float
    effective_control: float
    auc: float
    unknown: float = 0.0


@dataclass(frozen=True)
class Balance:
    """Standardised mean difference of one covariate between the arms; of a dose, and of instruments, its
    correlation with it, before and after what the covariates tell is taken off.
    """

    covariate: str
    before: float
    after: float


@dataclass(frozen=True)
class Sensitivity:
    """How strong a confounder that nobody measured would have to be.

    Attributes:
        e_value, e_value_limit: risk ratio with treatment and with outcome that would take away the effect,
            and the limit of its interval that is nearer to none (VanderWeele and Ding 2017); 1 is nothing at
            all.
        robustness, robustness_significance: share of what is left of treatment and of outcome that it would
            have to explain to take away the effect, and its significance (Cinelli and Hazlett 2020).
        partial_r2: of the treatment with the outcome.
    """

    e_value: float
    e_value_limit: float
    robustness: float
    robustness_significance: float
    partial_r2: float


@dataclass(frozen=True)
class Instruments:
    """What moves the treatment, and how well.

    Attributes:
        partial_f: of the first stage, given the covariates, robust to unequal variances.
        j, j_p: Hansen's test that several instruments tell of one effect.
    """

    names: tuple[str, ...]
    partial_f: float | None = None
    j: float | None = None
    j_p: float | None = None


@dataclass(frozen=True)
class EffectReport:
    """The effect of one treatment on one outcome, or why these rows cannot tell it.

    `status` is `effect` where the interval leaves out no effect, `no_effect_shown` where it does not, and
    `not_identified` where an estimate would be of nothing; then `reason` and `explanation` say why, and there
    is no figure of an effect anywhere.

    Attributes:
        estimand: `ate` of all rows, `att` of those that were treated, `ato` of those in whom both arms are
            found (overlap weights), `trimmed` of all rows with a propensity within [0.05, 0.95]; `late` of
            those whose treatment the instruments move.
        instruments: where the effect is `late`.
        effect: on the outcome's own scale: a difference of means, of 0/1 of risks; of a dose for one unit
        more. ratio: the arms' means divided, where the outcome is 0/1 or a count: the risk ratio.
        att: the effect on the treated, whatever the estimand.
        naive: what the arms differ by without any adjustment.
        offers: estimands that these rows could answer where the one asked for is not identified; none is
            taken by itself.
        clusters: column whose value rows share that are not independent; empty where each stands for itself.
        notes: what was done to the rows that a reader has to know.
    """

    status: Status
    treatment: str
    outcome: str
    covariates: tuple[str, ...]
    estimand: Estimand | Literal["late"]
    seed: int
    rows: int
    treated: int
    arm: str
    control: str
    treatment_kind: Literal["binary", "continuous"]
    outcome_kind: Literal["binary", "count", "continuous"]
    reason: Reason | None = None
    explanation: str = ""
    effect: Effect | None = None
    ratio: Effect | None = None
    att: Effect | None = None
    naive: Effect | None = None
    overlap: Overlap | None = None
    balance: tuple[Balance, ...] = ()
    sensitivity: Sensitivity | None = None
    instruments: Instruments | None = None
    nuisances: tuple[NuisanceFit, ...] = ()
    offers: tuple[Estimand, ...] = ()
    clusters: str = ""
    notes: tuple[str, ...] = ()
    folds: int = 0
    repeats: int = 0

    @property
    def identified(self) -> bool:
        """Whether there is an estimate."""
        return self.status != "not_identified"

    @property
    def population(self) -> Estimand:
        """The estimand of an effect that covariates tell.

        Raises:
            CausalDataError: instruments told it.
        """
        if self.estimand == "late":
            raise CausalDataError(
                f"effect of {self.treatment} on {self.outcome} is told by instruments: what covariates tell"
                " has no part in it",
                "Ask for an effect without instruments.",
            )
        return self.estimand

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        more = "one unit more of " if self.treatment_kind == "continuous" else ""
        what = f"{self.estimand.upper()} of {more}{self.treatment} on {self.outcome}"
        if self.effect is None:
            offered = f" These rows could answer: {', '.join(self.offers)}." if self.offers else ""
            return f"{what}: not identified. {self.explanation}{offered}"
        e = self.effect
        words = "an effect" if self.status == "effect" else "no effect shown"
        return f"{what}: {words}, {e.estimate:.4g} (95 % {e.low:.4g} to {e.high:.4g}, p {e.p:.2g})"
