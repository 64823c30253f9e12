"""The effect by instruments: what moves the treatment, and the outcome through it alone.

Partially linear: outcome, treatment and instruments without what the covariates tell of them, each row by
models that have not seen it, and two-stage least squares on what is left. The interval is the set of effects
that the Anderson-Rubin test does not reject, robust to unequal variances: right however weak the instruments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from e2i_assets.causal.data import CausalData, TreatmentKind, same_order
from e2i_assets.causal.encoding import is_number, standardised
from e2i_assets.causal.errors import CausalDataError
from e2i_assets.causal.estimands import by_cluster, unadjusted
from e2i_assets.causal.nuisance import FOLDS, REPEATS, CrossFit, NuisanceFit, fold_numbers, seed_of
from e2i_assets.causal.overlap import correlation
from e2i_assets.causal.report import Balance, Effect, EffectReport, Instruments

WEAK = 10.0
"""Below this first-stage F an instrument is held to be weak (Staiger and Stock 1997)."""
LEVEL = 0.95
GRID = 4001
DECIDED = 1e-6
"""Less than this share of an instrument's variance left by the covariates is nothing."""
ASSUMED = (
    "Assumed, and not to be seen in the rows: the instruments move the outcome through the treatment alone"
    " (exclusion); given the covariates nothing moves both an instrument and the outcome (independence); an"
    " instrument moves nobody's treatment the other way (monotonicity).",
    "The effect is that on compliers, those whose treatment the instruments move (LATE), weighted by how much"
    " of them is open given the covariates; it is not the effect on all rows.",
)


@dataclass(frozen=True, eq=False)
class Residuals:
    """What covariates leave: `y` and `t` (rows,), `z` (rows, instruments); `clusters` as in the data."""

    y: np.ndarray
    t: np.ndarray
    z: np.ndarray
    clusters: np.ndarray | None = None

    def moments(self, values: np.ndarray) -> np.ndarray:
        """Instruments times what belongs to each row, summed over clusters: (clusters, instruments)."""
        return by_cluster(self.z * values[:, None], self.clusters)


def instruments_of(
    frame: pd.DataFrame, data: CausalData, names: Sequence[str], *, treatment: str, outcome: str
) -> np.ndarray:
    """Check the instruments and give them as numbers, (rows, instruments), those with two values as 0 and 1.

    Raises:
        CausalDataError: an instrument is constant, missing, no number, the treatment or outcome in other
            words, or says what the others say; or an outcome is missing.
    """
    if not data.known.all():
        raise CausalDataError(
            f"outcome {outcome}: missing in {int((~data.known).sum())} of {len(data.y)} rows; with"
            " instruments this is not corrected for",
            "Leave out these rows where their outcome is missing by chance alone.",
        )
    z = np.column_stack([_numbers(frame.loc[data.index, name], name) for name in names])
    for name, column in zip(names, z.T, strict=True):
        for part, values in ((f"treatment {treatment}", data.t), (f"outcome {outcome}", data.y)):
            if same_order(column, values):
                raise CausalDataError(
                    f"instrument {name} is the {part} in other words: one has the order of the other",
                    "Name a column that moves the treatment and is not it.",
                )
    if np.linalg.matrix_rank((z - z.mean(axis=0)) / z.std(axis=0), tol=1e-6 * len(z)) < len(names):
        raise CausalDataError(
            f"instruments {', '.join(names)}: one of them says what the others say", "Leave it out."
        )
    return z


def check_names(instruments: Sequence[str], frame: pd.DataFrame, taken: Sequence[str]) -> tuple[str, ...]:
    """Names of the instruments, none of which plays another part.

    Raises:
        CausalDataError: there are none, they are one text, not in the frame, or named twice.
    """
    if isinstance(instruments, str):
        raise CausalDataError(
            f"instruments is the text {instruments!r}, not a list", f"Write `instruments=[{instruments!r}]`."
        )
    names = tuple(instruments)
    if not names:
        raise CausalDataError("instruments is an empty list", "Name at least one, or leave it out.")
    if absent := [str(name) for name in names if name not in frame.columns]:
        raise CausalDataError(f"instrument not in the frame: {', '.join(absent)}")
    if twice := sorted({name for name in names if (*names, *taken).count(name) > 1}):
        raise CausalDataError(
            f"instrument named also as treatment, outcome, covariate or twice: {', '.join(twice)}",
            "Give each column one part to play.",
        )
    if doubled := [name for name in names if list(frame.columns).count(name) > 1]:
        raise CausalDataError(f"more than one column of the frame is named {', '.join(doubled)}")
    return names


def _numbers(values: pd.Series, name: str) -> np.ndarray:
    if missing := int(values.isna().sum()):
        raise CausalDataError(
            f"instrument {name}: missing in {missing} of {len(values)} rows",
            "Leave out the rows of which nobody knows it, or find out.",
        )
    if not is_number(values):
        raise CausalDataError(
            f"instrument {name} is {values.dtype}, not a number", "Give 0 and 1, or a measurement."
        )
    z = values.to_numpy(float)
    if not np.isfinite(z).all():
        raise CausalDataError(f"instrument {name} has values without end")
    levels = np.unique(z)
    if len(levels) < 2:
        raise CausalDataError(
            f"instrument {name} is constant: it moves no treatment", "Name one with at least two values."
        )
    return (z == levels[1]).astype(float) if len(levels) == 2 else standardised(z[:, None])[:, 0]


def late_from(report: EffectReport, data: CausalData, z: np.ndarray, names: Sequence[str]) -> EffectReport:
    """Fill a report with the effect on compliers, or why the instruments do not tell it."""
    first = np.lexsort(z.T)  # rows in an order of their own
    data, rows = data.of(first).sorted()
    z = z[first][rows]
    rest, fits = residuals_of(data, z, names, report.seed)
    report = replace(
        report, nuisances=fits, folds=FOLDS, repeats=REPEATS, notes=(*report.notes, *ASSUMED),
        balance=tuple(_balance(data, z, rest)), instruments=Instruments(tuple(names)),
    )  # fmt: skip
    left = rest.z.var(axis=0) / z.var(axis=0)
    if decided := [name for name, share in zip(names, left, strict=True) if share < DECIDED]:
        return _weak(report, f"Decided by the covariates: {', '.join(decided)}.")
    if np.linalg.matrix_rank(rest.z / rest.z.std(axis=0), tol=1e-6 * len(z)) < len(names):
        return _weak(report, "Given the covariates one instrument says what the others say.")
    f = first_stage_f(rest)
    report = replace(report, instruments=Instruments(tuple(names), partial_f=f))
    if f < WEAK:
        return _weak(
            report, f"The instruments hardly move the treatment: first-stage F {f:.3g}, under {WEAK:g}."
        )
    estimate, error = two_stage(rest)
    grid = estimate + error * np.tan(np.linspace(-np.pi / 2, np.pi / 2, GRID + 2)[1:-1])
    j, j_p = _over_identified(rest, grid)
    report = replace(report, instruments=Instruments(tuple(names), f, j, j_p))
    limits = anderson_rubin_set(rest, grid)
    if (j_p is not None and j_p < 1 - LEVEL) or limits is None or not limits[0] <= estimate <= limits[1]:
        return replace(
            report, reason="instruments_disagree",
            explanation="The instruments contradict one another (Hansen J): at least one of them is none, or"
            " each moves others, with another effect. Ask with each of them alone, and say which to believe.",
        )  # fmt: skip
    if not np.isfinite(limits).all():
        return _weak(
            report, "The Anderson-Rubin set has no end: any effect that is large enough fits the rows."
        )
    low, high = limits
    effect = Effect(estimate, low, high, _p(anderson_rubin(rest, np.zeros(1))[0], len(names)), error)
    return replace(
        report,
        status="no_effect_shown" if low <= 0 <= high else "effect",
        effect=effect,
        naive=unadjusted(data),
    )


def _balance(data: CausalData, z: np.ndarray, rest: Residuals) -> Iterator[Balance]:
    """Of each column the correlation with the instrument that it goes with most, and with what is left of
    that; the largest first.
    """
    before = np.array([[correlation(x, one) for one in z.T] for x in data.x.T]).reshape(-1, z.shape[1])
    for column in np.argsort(-np.abs(before).max(axis=1), kind="stable"):
        most = int(np.abs(before[column]).argmax())
        after = correlation(data.x[:, column], rest.z[:, most])
        yield Balance(data.columns[column], float(before[column, most]), after)


def _weak(report: EffectReport, explanation: str) -> EffectReport:
    return replace(report, status="not_identified", reason="weak_instruments", explanation=explanation)


def residuals_of(
    data: CausalData, z: np.ndarray, names: Sequence[str], seed: int
) -> tuple[Residuals, tuple[NuisanceFit, ...]]:
    """What is left of outcome, treatment and instruments; predictions are the mean of those of `REPEATS`
    draws of folds, none by a model that has seen the row.
    """
    from joblib import Parallel, cpu_count, delayed
    from threadpoolctl import threadpool_limits

    kinds: list[TreatmentKind] = ["binary" if len(np.unique(c)) == 2 else "continuous" for c in z.T]
    parts = [("outcome", data.y, data.outcome_kind), ("treatment", data.t, data.treatment_kind)]
    parts += [(f"instrument {n}", c, k) for n, c, k in zip(names, z.T, kinds, strict=True)]

    def once(repeat: int) -> list[tuple[np.ndarray, NuisanceFit]]:
        drawn = seed_of(seed, repeat)
        cross = CrossFit(data, fold_numbers(data, FOLDS, drawn), drawn, ())
        return [cross.predict(*part) for part in parts]

    with threadpool_limits(limits=1):
        done = Parallel(n_jobs=min(REPEATS, cpu_count()), prefer="threads")(
            delayed(once)(repeat) for repeat in range(REPEATS)
        )
    left = [
        values - np.mean([repeat[i][0] for repeat in done], axis=0) for i, (_, values, _) in enumerate(parts)
    ]
    left = [values - values.mean() for values in left]
    rest = Residuals(left[0], left[1], np.column_stack(left[2:]), data.clusters)
    return rest, tuple(fit for _, fit in done[0])


def two_stage(rest: Residuals) -> tuple[float, float]:
    """Two-stage least squares, and its standard error robust to unequal variances."""
    moved = rest.z @ np.linalg.lstsq(rest.z, rest.t, rcond=None)[0]
    estimate = float(moved @ rest.y / (moved @ rest.t))
    scores = by_cluster(moved * (rest.y - estimate * rest.t), rest.clusters)
    error = np.sqrt((scores**2).sum()) / abs(moved @ rest.t)
    return estimate, float(error)


def first_stage_f(rest: Residuals) -> float:
    """Wald statistic of the instruments on the treatment given the covariates, over their number."""
    coefficients = np.linalg.lstsq(rest.z, rest.t, rcond=None)[0]
    scores = rest.moments(rest.t - rest.z @ coefficients)
    n, k = scores.shape
    pull = rest.z.T @ rest.z @ coefficients
    return float(pull @ np.linalg.pinv(scores.T @ scores) @ pull / k * (n - k) / n)


def anderson_rubin(rest: Residuals, effects: np.ndarray) -> np.ndarray:
    """Statistic of each effect, chi-squared with a degree of freedom for each instrument where it is true."""
    zy, zt = rest.moments(rest.y), rest.moments(rest.t)
    b = effects[:, None, None]
    mixed = zy.T @ zt
    spread = zy.T @ zy - b * (mixed + mixed.T) + b**2 * (zt.T @ zt)
    moments = zy.sum(axis=0) - effects[:, None] * zt.sum(axis=0)
    return (moments * np.linalg.solve(spread, moments[..., None])[..., 0]).sum(axis=1)


def anderson_rubin_set(rest: Residuals, grid: np.ndarray) -> tuple[float, float] | None:
    """Least and largest effect that is not rejected, without end where the treatment is hardly moved; none
    where all are rejected.
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2

    most = chi2.ppf(LEVEL, rest.z.shape[1])
    zt = rest.moments(rest.t)
    if zt.sum(axis=0) @ np.linalg.solve(zt.T @ zt, zt.sum(axis=0)) <= most:
        return -np.inf, np.inf
    inside = np.flatnonzero(anderson_rubin(rest, grid) <= most)
    if not len(inside):
        return None
    if inside[0] == 0 or inside[-1] == len(grid) - 1:
        return -np.inf, np.inf

    def edge(one: int, other: int) -> float:
        return float(brentq(lambda b: anderson_rubin(rest, np.array([b]))[0] - most, grid[one], grid[other]))

    return edge(inside[0] - 1, inside[0]), edge(inside[-1], inside[-1] + 1)


def _over_identified(rest: Residuals, grid: np.ndarray) -> tuple[float | None, float | None]:
    """Hansen's J, continuously updated: what no effect explains; none with a single instrument."""
    if (k := rest.z.shape[1]) == 1:
        return None, None
    j = float(anderson_rubin(rest, grid).min())
    return j, _p(j, k - 1)


def _p(statistic: float, freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2.sf(statistic, freedom))
