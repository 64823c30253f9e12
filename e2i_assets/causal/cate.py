"""Whether effects differ between patients, and which learner says best how: judged on rows it has not seen.

A learner is judged by its R-loss (Nie and Wager 2021): how well its effects explain what outcomes and
treatments have left over when what covariates expect of both is taken off. The opponent of all is the
constant effect, and the judgement a paired one. In public benchmarks most learners lose it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from e2i_assets.causal.estimands import by_cluster
from e2i_assets.causal.learners import LEARNERS
from e2i_assets.causal.scores import Expected

CONSTANT = "ConstantEffect"
"""Name of the model that predicts the same effect for everybody."""
ERROR = 0.05
"""Probability that any learner beats the constant effect where all effects are the same."""
DRAWS = 2000
CROSS_FITS = 2
"""Folds of the learners' own cross-fitting: with more they are hardly better, and cost as much more."""


@dataclass(frozen=True)
class Contest:
    """One learner against the constant effect, on rows that neither was fitted on.

    Attributes:
        r_loss: mean over rows; less is better.
        gain: by how much that is less than the constant effect's.
        noise: standard error of the gain, paired by row or cluster of rows.
    """

    learner: str
    r_loss: float
    gain: float
    noise: float

    @property
    def in_noises(self) -> float:
        """The gain in standard errors."""
        return self.gain / self.noise if self.noise > 0 else 0.0


@dataclass(frozen=True)
class Calibrated:
    """The mean effect on rows of like predictions, as a line in the learner's prediction.

    `effect = level + slope * (prediction - centre)`, fitted on predictions of rows that the learner had not
    seen (the best linear predictor of Chernozhukov et al. 2018).

    Attributes:
        covariance: of level and slope, as (var level, cov, var slope).
    """

    level: float
    slope: float
    centre: float
    covariance: tuple[float, float, float]

    def effects(self, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effects and their standard errors, each of shape (rows,)."""
        beyond = predictions - self.centre
        level, both, slope = self.covariance
        return self.level + self.slope * beyond, np.sqrt(level + 2 * both * beyond + slope * beyond**2)


@dataclass(frozen=True)
class CateChoice:
    """What the contest came to.

    Attributes:
        constant_loss: R-loss of the constant effect.
        contests: every learner that could be fitted, the best first.
        failed: learners that could not, with the kind of error.
        critical: standard errors by which one of so many learners must win to be better than chance.
        calibrated: of the best learner.
        rows, folds: what they were compared on.
    """

    constant_loss: float
    contests: tuple[Contest, ...]
    failed: Mapping[str, str]
    critical: float
    calibrated: Calibrated | None
    rows: int
    folds: int

    @property
    def best(self) -> Contest | None:
        """The learner with the least R-loss."""
        return self.contests[0] if self.contests else None

    @property
    def beats_constant(self) -> bool:
        """Whether the best learner is better than the constant effect by more than noise."""
        best = self.best
        return best is not None and best.in_noises > self.critical

    @property
    def chosen(self) -> str:
        """The learner whose effects may be served, or the constant effect."""
        return self.contests[0].learner if self.beats_constant else CONSTANT


def choose_learner(
    X: np.ndarray,
    t: np.ndarray,
    y: np.ndarray,
    expected: Expected,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    nuisance: str,
    learners: Sequence[str] = tuple(LEARNERS),
    clusters: np.ndarray | None = None,
    seed: int = 0,
    on_learner: Callable[[str], None] = lambda _: None,
) -> CateChoice:
    """Compare learners with the constant effect by R-loss on held-out rows.

    Args:
        X: numbers without gaps, shape (rows, columns).
        t, y: treatment (0/1) and outcome, shape (rows,).
        expected: of each row by nuisance models that were fitted on other rows.
        folds: pairs of row numbers, to fit on and to judge on; together they judge each row once.
        nuisance: kind of the learners' own nuisance models (`learners.NUISANCE`).
        clusters: number of each row's cluster, shape (rows,); without it each row stands for itself.
        on_learner: called with the name of each learner when it is judged.
    """
    left_y, left_t = y - expected.outcome, t - expected.propensity
    constant = np.empty(len(y))
    for fit, judge in folds:
        constant[judge] = (left_t[fit] @ left_y[fit]) / (left_t[fit] @ left_t[fit])
    constant_losses = (left_y - left_t * constant) ** 2
    predictions: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    for name in learners:
        try:
            predictions[name] = _held_out(name, nuisance, X, t, y, folds, seed)
        except (ValueError, np.linalg.LinAlgError, AttributeError) as error:
            # What a library cannot fit is no candidate; its text may quote values.
            failed[name] = type(error).__name__
        on_learner(name)
    gains = {name: constant_losses - (left_y - left_t * tau) ** 2 for name, tau in predictions.items()}
    gains = {name: _of_units(gain, clusters) for name, gain in gains.items()}
    contests = sorted(_contests(gains, float(constant_losses.mean())), key=lambda contest: contest.r_loss)
    calibrated = None
    if contests:
        calibrated = calibrate(predictions[contests[0].learner], left_t, left_y, clusters)
    return CateChoice(
        constant_loss=float(constant_losses.mean()),
        contests=tuple(contests),
        failed=failed,
        critical=_critical(np.column_stack(list(gains.values())), seed) if gains else np.inf,
        calibrated=calibrated,
        rows=len(y),
        folds=len(folds),
    )


def fit_learner(name: str, nuisance: str, X: np.ndarray, t: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """A learner with its defaults and these nuisance models, fitted."""
    learner = LEARNERS[name]
    params = dict(learner.defaults)
    params |= {key: nuisance for key in ("nuisance", "effect") if key in params}
    params |= {"cv": CROSS_FITS} if "cv" in params else {}
    estimator = learner.build(params, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of covariances that are not used, and of names of columns
        estimator.fit(y, t, X=X)
    return estimator


def predicted(estimator: Any, X: np.ndarray) -> np.ndarray:
    """The effects that a fitted learner predicts, shape (rows,).

    Raises:
        ValueError: one is no number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        effects = np.asarray(estimator.effect(X), dtype=float).ravel()
    if not np.isfinite(effects).all():
        raise ValueError("an effect is no number")
    return effects


def calibrate(
    predictions: np.ndarray, left_t: np.ndarray, left_y: np.ndarray, clusters: np.ndarray | None = None
) -> Calibrated:
    """The line that best tells mean effects from predictions of held-out rows, with its robust covariance."""
    centre = float(np.average(predictions, weights=left_t**2))
    design = left_t[:, None] * np.column_stack([np.ones(len(predictions)), predictions - centre])
    if np.ptp(predictions) == 0:
        design = design[:, :1]
    bread = np.linalg.pinv(design.T @ design)
    line = bread @ design.T @ left_y
    rest = left_y - design @ line
    scores = by_cluster(design * rest[:, None], clusters)
    covariance = bread @ (scores.T @ scores) @ bread * len(scores) / max(len(scores) - design.shape[1], 1)
    if len(line) == 1:
        return Calibrated(float(line[0]), 0.0, centre, (float(covariance[0, 0]), 0.0, 0.0))
    spread = (float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1]))
    return Calibrated(float(line[0]), float(line[1]), centre, spread)


def _held_out(
    name: str,
    nuisance: str,
    X: np.ndarray,
    t: np.ndarray,
    y: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> np.ndarray:
    effects = np.empty(len(y))
    for fit, judge in folds:
        effects[judge] = predicted(fit_learner(name, nuisance, X[fit], t[fit], y[fit], seed), X[judge])
    return effects


def _of_units(gain: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Gain of each row, or of each cluster of rows, whose mean is that of the rows."""
    sums = by_cluster(gain, clusters)
    return sums * (len(sums) / len(gain))


def _contests(gains: Mapping[str, np.ndarray], constant_loss: float) -> Iterator[Contest]:
    for name, gain in gains.items():
        mean = float(gain.mean())
        noise = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        yield Contest(name, constant_loss - mean, mean, noise)


def _critical(gains: np.ndarray, seed: int) -> float:
    """How many standard errors the best of these learners wins by chance, at most, in 95 of 100 cases.

    The learners' gains are alike, so the bound is that of their largest one (multiplier bootstrap;
    Chernozhukov, Chetverikov and Kato 2013), and not that of as many independent ones.
    """
    centred = gains - gains.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0))
    scale[scale == 0] = np.inf
    drawn = np.random.default_rng(seed).standard_normal((DRAWS, len(gains))) @ centred / scale
    return float(np.quantile(drawn.max(axis=1), 1 - ERROR))
