"""Whether these rows can tell an effect at all: both arms among rows of every kind, and alike once
weighted.
"""

from __future__ import annotations

import numpy as np

from e2i_assets.causal.data import CausalData
from e2i_assets.causal.estimands import INSIDE, POPULATIONS
from e2i_assets.causal.nuisance import Nuisances
from e2i_assets.causal.report import Balance, Estimand, Overlap, Reason

LEAST_CLUSTERS = 10
"""Of rows that are not independent as many clusters of each arm: what counts is how many lots were drawn."""
LEAST_ROWS = 20
"""Rows of an arm with which an interval means what it says; of weighted ones as many must count."""
DECIDED = 0.98
"""Where covariates tell the arm, or the dose, as well as this, they decide it (AUC, R²)."""
ABSENT = 0.05
"""Where an arm is less than this part of as frequent as among all rows, it is as good as absent."""
MOST_UNSUPPORTED = 0.30
"""By lot it is none; where log-odds have a deviation of 2 some 15 %, of 3 a third, and under a rule most."""
BINS = 20


def overlap_of(data: CausalData, nuisances: Nuisances, estimand: Estimand) -> Overlap:
    """Of a binary treatment, by the propensities of all repeats."""
    e, t = nuisances.unbounded.mean(axis=0), data.t == 1
    known = np.where(t, nuisances.known_treated.mean(axis=0), nuisances.known_control.mean(axis=0))
    weights = population_weights(nuisances, estimand) / known
    edges = np.linspace(0, 1, BINS + 1)
    return Overlap(
        quantiles_treated=_quantiles(e[t]),
        quantiles_control=_quantiles(e[~t]),
        histogram_treated=tuple(np.histogram(e[t], edges)[0].tolist()),
        histogram_control=tuple(np.histogram(e[~t], edges)[0].tolist()),
        share_outside=float(((e < INSIDE[0]) | (e > INSIDE[1])).mean()),
        unsupported=_unsupported(data, e, estimand),
        effective_treated=_effective(weights[t & data.known]),
        effective_control=_effective(weights[~t & data.known]),
        auc=next(fit.score for fit in nuisances.fits if fit.of == "treatment"),
        unknown=_share(_without(data.known.astype(float), known), POPULATIONS[estimand](e)[0]),
    )


def population_weights(nuisances: Nuisances, estimand: Estimand) -> np.ndarray:
    """Weight of each row that makes each arm as the population of the estimand; (rows,), for the row's own
    arm.
    """
    e = nuisances.propensity.mean(axis=0)
    return POPULATIONS[estimand](e)[0] / np.where(nuisances.t == 1, e, 1 - e)


def _unsupported(data: CausalData, e: np.ndarray, estimand: Estimand) -> float:
    """Counted among the rows of the lowest and the highest propensities, whatever these claim to be."""
    h = POPULATIONS[estimand](e)[0]
    alone = _without(1 - data.t, 1 - e)
    if estimand != "att":  # nobody asks there what the treatment would do to those who never get it
        alone |= _without(data.t, e)
    return _share(alone, h)


def _share(rows: np.ndarray, weights: np.ndarray) -> float:
    return float((weights * rows).sum() / weights.sum()) if weights.sum() > 0 else 1.0


def _without(inside: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Rows up to the probability below which an arm is as good as absent."""
    order = np.argsort(probability, kind="stable")
    rate = inside[order].cumsum() / np.arange(1, len(order) + 1)
    last = np.flatnonzero(rate < ABSENT * inside.mean())
    alone = np.zeros(len(order), dtype=bool)
    alone[order[: last[-1] + 1 if len(last) else 0]] = True
    return alone


def _effective(weights: np.ndarray) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum()) if (weights > 0).any() else 0.0


def _quantiles(e: np.ndarray) -> tuple[float, ...]:
    return tuple(np.quantile(e, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]).tolist())


def balance_of(data: CausalData, nuisances: Nuisances, estimand: Estimand) -> tuple[Balance, ...]:
    """Of each column, most different first.

    Of a binary treatment the standardised mean difference by the arms' own deviations, before and after
    weighting; of a dose the correlation with it, and with what of it the covariates leave open.
    """
    x = data.x
    if data.treatment_kind == "continuous":
        left = data.t - nuisances.propensity.mean(axis=0)
        pairs = [(correlation(column, data.t), correlation(column, left)) for column in x.T]
    else:
        t, weights = data.t == 1, population_weights(nuisances, estimand)
        deviation = np.sqrt((x[t].var(axis=0) + x[~t].var(axis=0)) / 2)
        deviation[deviation == 0] = 1.0
        before = (x[t].mean(axis=0) - x[~t].mean(axis=0)) / deviation
        after = (_mean(x[t], weights[t]) - _mean(x[~t], weights[~t])) / deviation
        pairs = list(zip(before, after, strict=True))
    balances = [Balance(name, float(a), float(b)) for name, (a, b) in zip(data.columns, pairs, strict=True)]
    return tuple(sorted(balances, key=lambda b: (-abs(b.before), b.covariate)))


def _mean(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.average(x, axis=0, weights=weights if weights.sum() > 0 else None)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two columns; none of one that does not vary."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def clusters_of_arms(data: CausalData) -> tuple[int, int]:
    """Clusters in which the control, and the arm, has a known outcome; of a dose all, twice. Each row by
    itself counts as one.
    """
    number = np.arange(len(data.t)) if data.clusters is None else data.clusters
    arms = [data.known if data.treatment_kind == "continuous" else data.known & (data.t == a) for a in (0, 1)]
    control, treated = (len(np.unique(number[rows])) for rows in arms)
    return control, treated


def too_few(data: CausalData) -> tuple[Reason, str] | None:
    """Whether an arm, or a dose, has fewer rows of known outcome, or clusters, than an interval needs."""
    known = data.t[data.known]
    if data.clusters is not None and min(clusters_of_arms(data)) < LEAST_CLUSTERS:
        where = "" if data.treatment_kind == "continuous" else " of an arm"
        return "too_few", (
            f"Too few clusters{where}: fewer than {LEAST_CLUSTERS} have a known outcome, and so many are"
            " needed, however many rows are in them."
        )
    if data.treatment_kind == "continuous":
        if len(known) >= 2 * LEAST_ROWS:
            return None
        return "too_few", f"{len(known)} rows have a known outcome; {2 * LEAST_ROWS} are needed."
    treated, control = int((known == 1).sum()), int((known == 0).sum())
    if min(treated, control) >= LEAST_ROWS:
        return None
    few = [arm for arm, rows in ((data.arm, treated), (data.control, control)) if rows < LEAST_ROWS]
    return "too_few", (
        f"Too few of an arm: fewer than {LEAST_ROWS} rows with a known outcome have {' or '.join(few)}; each"
        " arm needs as many."
    )


def why_not(overlap: Overlap) -> tuple[Reason, str] | None:
    """Why rows of this overlap tell no effect of a binary treatment; None where they do."""
    if overlap.auc >= DECIDED:
        return "treatment_decided", (
            f"The covariates decide the treatment: they tell it with an AUC of {overlap.auc:.3f} (from"
            f" {DECIDED} on nothing is left to compare). Leave out what follows from the treatment or is"
            " its rule."
        )
    if overlap.unsupported > MOST_UNSUPPORTED:
        return "no_overlap", (
            f"No overlap: {overlap.unsupported:.0%} of the rows are of a kind in which one arm is as good as"
            f" absent (at most {MOST_UNSUPPORTED:.0%}). Ask for rows in which both arms are found."
        )
    if overlap.unknown > MOST_UNSUPPORTED:
        return "no_overlap", (
            f"No overlap: {overlap.unknown:.0%} of the rows are of a kind whose outcome is as good as never"
            f" known (at most {MOST_UNSUPPORTED:.0%}). Ask for rows in which it is."
        )
    if (least := min(overlap.effective_treated, overlap.effective_control)) < LEAST_ROWS:
        return "no_overlap", (
            f"No overlap: weighted, an arm counts for {least:.1f} rows ({LEAST_ROWS} are needed). Ask for"
            " rows in which both arms are found."
        )
    return None


def dose_decided(nuisances: Nuisances) -> tuple[Reason, str] | None:
    """Why a dose tells no effect; None where it does."""
    fit_score = next(fit.score for fit in nuisances.fits if fit.of == "treatment")
    if fit_score < DECIDED:
        return None
    return "treatment_decided", (
        f"The covariates decide the treatment: they explain {fit_score:.1%} of it. Leave out what follows "
        "from the treatment or is its rule."
    )


def refusal_of(data: CausalData, nuisances: Nuisances, estimand: Estimand) -> tuple[Reason, str] | None:
    """Why these rows tell no effect of their treatment, of whichever kind; None where they do."""
    if data.treatment_kind == "continuous":
        return dose_decided(nuisances)
    return why_not(overlap_of(data, nuisances, estimand))


def offers(data: CausalData, nuisances: Nuisances) -> tuple[Estimand, ...]:
    """Estimands that these rows could answer."""
    return tuple(name for name in POPULATIONS if why_not(overlap_of(data, nuisances, name)) is None)
