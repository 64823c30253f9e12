"""How strong a confounder that nobody measured would have to be to take an effect away."""

from __future__ import annotations

import math

from e2i_assets.causal.report import Effect, Sensitivity


def e_value(ratio: float) -> float:
    """Of a risk ratio (VanderWeele and Ding 2017)."""
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def e_value_of_limit(low: float, high: float) -> float:
    """Of the limit of a ratio's interval that is nearer to one; 1 where the interval has one inside."""
    return 1.0 if low <= 1 <= high else e_value(low if low > 1 else high)


def as_ratio(difference: float, deviation: float) -> float:
    """A difference of means as the risk ratio that it amounts to (Chinn 2000, VanderWeele and Ding 2017)."""
    return math.exp(0.91 * difference / deviation)


def robustness_value(t: float, freedom: float, alpha: float | None = None, q: float = 1.0) -> float:
    """Share of the residual variance of treatment and outcome that a confounder must explain.

    Cinelli and Hazlett 2020, eq. 19 and section 4.3: to reduce an estimate of that t by `q` of itself or,
    with `alpha`, until it is no longer significant.
    """
    from scipy.stats import t as student

    f = q * abs(t) / math.sqrt(freedom)
    if alpha is not None:
        f -= student.ppf(1 - alpha / 2, freedom - 1) / math.sqrt(freedom - 1)
    if f <= 0:
        return 0.0
    return float(0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2))


def sensitivity_of(effect: Effect, ratio: Effect | None, deviation: float, freedom: float) -> Sensitivity:
    """Of an estimate.

    Args:
        ratio: where there is one; otherwise the difference is taken as one.
        deviation: of the outcome, for that; of a dose by that of the dose, so that its unit does not matter.
        freedom: degrees of freedom of the estimate.
    """
    if ratio is None:
        point, *limits = (as_ratio(d, deviation) for d in (effect.estimate, effect.low, effect.high))
    else:
        point, limits = ratio.estimate, [ratio.low, ratio.high]
    t = effect.estimate / effect.standard_error
    return Sensitivity(
        e_value=e_value(point),
        e_value_limit=e_value_of_limit(min(limits), max(limits)),
        robustness=robustness_value(t, freedom),
        robustness_significance=robustness_value(t, freedom, alpha=0.05),
        partial_r2=t**2 / (t**2 + freedom),
    )
