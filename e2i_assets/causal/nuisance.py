"""What an effect is estimated over, and is not the effect: who is treated, and what outcome is to be expected
under each arm. Cross-fitted: each row is predicted by models that have not seen it.

The folds are shared, so that whoever builds on these numbers (learners of effects for each row, other
libraries) compares on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from e2i_assets.causal.data import CausalData
from e2i_assets.causal.regressions import LIBRARY, stack_weights

FOLDS, REPEATS = 5, 3

PROPENSITY = ("constant", "linear", "shrunk", "curved", "boosted")
APART = ("constant", "linear", "shrunk", "curved", "boosted")
"""Models of the outcome fitted on the rows of one arm."""
JOINT = ("linear", "boosted", "boosted_more")
"""Models of the outcome fitted on all rows, with the treatment as a column: they borrow from the other
arm.
"""


@dataclass(frozen=True)
class NuisanceFit:
    """How well one nuisance was predicted for rows not seen.

    Attributes:
        of: `treatment`, `outcome`, `outcome_control`, `outcome_treated` or `outcome_known`.
        metric: `auc` of a yes or no, `r2` of a number.
        score: of the weighted models together.
        weights: of each model in them.
        scores: of each model alone.
    """

    of: str
    metric: str
    score: float
    weights: Mapping[str, float]
    scores: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Cross-fitted predictions, each an array of (repeats, rows).

    Attributes:
        folds: fold whose models did not see the row.
        t: the treatment itself, (rows,).
        propensity: probability of the treatment given the covariates, bounded for weights; of a dose its
            expectation.
        unbounded: the same without bounds, to judge the overlap by.
        outcome: expected outcome given the covariates alone.
        control, treated: expected outcome under each arm; of a dose both are empty.
        known_control, known_treated: probability that the outcome is known, under each arm.
        fits: of the first repeat.
    """

    t: np.ndarray
    folds: np.ndarray
    propensity: np.ndarray
    unbounded: np.ndarray
    outcome: np.ndarray
    control: np.ndarray
    treated: np.ndarray
    known_control: np.ndarray
    known_treated: np.ndarray
    fits: tuple[NuisanceFit, ...]


def cross_fit(
    data: CausalData,
    *,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    names: Sequence[str] = (),
    number: np.ndarray | None = None,
) -> Nuisances:
    """Fit the nuisances `repeats` times over, on other folds each time.

    Args:
        names: models to choose among, of `PROPENSITY`, `APART` and, with `_joint` at their end, of `JOINT`;
            without them all. Those of the treatment are as good as a line if none is among them.
        number: fold of each row, the same for each repeat; without it they are drawn.
    """
    from joblib import Parallel, cpu_count, delayed
    from threadpoolctl import threadpool_limits

    data, rows = data.sorted()
    number = None if number is None else number[rows]
    position = np.argsort(rows)
    with threadpool_limits(limits=1):  # the same sums in the same order on any machine
        done = Parallel(n_jobs=min(repeats, cpu_count()), prefer="threads")(
            delayed(_once)(
                data,
                fold_numbers(data, folds, seed_of(seed, repeat)) if number is None else number,
                seed_of(seed, repeat),
                tuple(names),
            )
            for repeat in range(repeats)
        )
    arrays = {
        key: np.array([arrays_of[key][position if len(arrays_of[key]) else []] for arrays_of, _ in done])
        for key in (
            "folds",
            "propensity",
            "unbounded",
            "outcome",
            "control",
            "treated",
            "known_control",
            "known_treated",
        )
    }
    return Nuisances(t=data.t[position], **arrays, fits=done[0][1])


def seed_of(seed: int, repeat: int) -> int:
    """One that every library takes, whatever seed was given."""
    return (seed * 1000 + repeat) % 2**31


def fold_numbers(data: CausalData, folds: int, seed: int) -> np.ndarray:
    """Fold of each row, with the same share of each arm and of each outcome that is yes or no; rows of one
    cluster are in one fold, and the first of them speaks for them.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    first = of_row = np.arange(len(data.t))
    if data.clusters is not None:
        _, first, of_row = np.unique(data.clusters, return_index=True, return_inverse=True)
    number = np.zeros(len(first), dtype=int)
    arms = data.t[first].astype(int) if data.treatment_kind == "binary" else np.zeros(len(first), dtype=int)
    strata = arms
    if data.outcome_kind == "binary":
        strata = arms + 2 * np.nan_to_num(data.y[first], nan=2).astype(int)
    rarest = np.bincount(strata)[np.unique(strata)].min()
    if rarest < folds:
        strata = arms
    splitter = StratifiedKFold if len(np.unique(strata)) > 1 else KFold
    for fold, (_, held_out) in enumerate(
        splitter(folds, shuffle=True, random_state=seed).split(first, strata)
    ):
        number[held_out] = fold
    return number[of_row]


def _once(
    data: CausalData, number: np.ndarray, seed: int, names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], tuple[NuisanceFit, ...]]:
    cross = CrossFit(data, number, seed, names)
    nothing, sure = np.zeros(0), np.ones(len(data.t))
    propensity, of_treatment = cross.predict("treatment", data.t, data.treatment_kind)
    arrays = {
        "folds": number, "propensity": propensity, "unbounded": propensity, "known_control": sure,
        "known_treated": sure,
    }  # fmt: skip
    if data.treatment_kind == "continuous":
        outcome, fit = cross.predict("outcome", data.y, data.outcome_kind)
        return arrays | {"outcome": outcome, "control": nothing, "treated": nothing}, (of_treatment, fit)
    arrays["unbounded"] = recalibrated(propensity, data.t)
    arrays["propensity"] = e = bounded(arrays["unbounded"], data.t)
    arrays["control"], arrays["treated"], *fits = cross.under_each_arm("outcome", data.y, data.outcome_kind)
    if not data.known.all():
        control, treated, *more = cross.under_each_arm("outcome_known", data.known.astype(float), "binary")
        arrays["known_control"], arrays["known_treated"] = (np.clip(p, 0.05, 1) for p in (control, treated))
        fits += more
    arrays["outcome"] = e * arrays["treated"] + (1 - e) * arrays["control"]
    return arrays, (of_treatment, *fits)


class CrossFit:
    """The models of one set of folds."""

    def __init__(self, data: CausalData, number: np.ndarray, seed: int, names: tuple[str, ...]) -> None:
        self.data, self.number, self.seed, self.names = data, number, seed, names

    def predict(self, of: str, y: np.ndarray, kind: str) -> tuple[np.ndarray, NuisanceFit]:
        """Predict `y` for every row from its covariates."""
        x, rows = self.data.x, ~np.isnan(y)
        wanted = PROPENSITY if of == "treatment" else APART
        models = {name: self._out_of_fold(name, x, y, rows, kind, [x]) for name in self._wanted(wanted, kind)}
        return _stacked(of, y, {name: column[:, 0] for name, column in models.items()}, rows, kind)

    def under_each_arm(
        self, of: str, y: np.ndarray, kind: str
    ) -> tuple[np.ndarray, np.ndarray, NuisanceFit, NuisanceFit]:
        """Predict for every row what `y` would be without and with the treatment; judged by the rows that
        were.
        """
        x, t, known = self.data.x, self.data.t, ~np.isnan(y)
        asked = [np.column_stack([x, np.full(len(t), arm)]) for arm in (0.0, 1.0)]
        joint = {
            name: self._out_of_fold(name, np.column_stack([x, t]), y, known, kind, asked)
            for name in self._wanted(JOINT, kind, "_joint")
        }
        done = []
        for arm, key in enumerate(("control", "treated")):
            rows = known & (t == arm)
            models = {
                name: self._out_of_fold(name, x, y, rows, kind, [x])[:, 0]
                for name in self._wanted(APART, kind)
            }
            models |= {f"{name}_joint": both[:, arm] for name, both in joint.items()}
            done.append(_stacked(f"{of}_{key}", y, models, rows, kind))
        return done[0][0], done[1][0], done[0][1], done[1][1]

    def _wanted(self, models: Sequence[str], kind: str, end: str = "") -> list[str]:
        """Those to fit; the line of a measurement is shrunk as far as is good for it, and is so but once."""
        return [
            name
            for name in models
            if (not self.names or name + end in self.names) and (name, kind) != ("shrunk", "continuous")
        ]

    def _out_of_fold(
        self, name: str, x: np.ndarray, y: np.ndarray, rows: np.ndarray, kind: str, asked: list[np.ndarray]
    ) -> np.ndarray:
        """Predict every row of each table `asked` by the model of the `rows` of the other folds; (rows,
        tables).
        """
        predictions = np.zeros((len(y), len(asked)))
        for fold in np.unique(self.number):
            out = self.number == fold
            model = LIBRARY[name](x[rows & ~out], y[rows & ~out], kind, self.seed)
            predictions[out] = np.column_stack([model(table[out]) for table in asked])
        return predictions


def _stacked(
    of: str, y: np.ndarray, models: Mapping[str, np.ndarray], judged: np.ndarray, kind: str
) -> tuple[np.ndarray, NuisanceFit]:
    predictions = np.column_stack(list(models.values()))
    weights = stack_weights(predictions[judged], y[judged], kind)
    stacked = predictions @ weights
    metric = "auc" if kind == "binary" else "r2"
    scores = [_score(y[judged], column[judged], metric) for column in (stacked, *predictions.T)]
    return stacked, NuisanceFit(
        of=of,
        metric=metric,
        score=scores[0],
        weights=dict(zip(models, np.round(weights, 4).tolist(), strict=True)),
        scores=dict(zip(models, scores[1:], strict=True)),
    )


def _score(y: np.ndarray, predicted: np.ndarray, metric: str) -> float:
    from sklearn.metrics import r2_score, roc_auc_score

    if metric == "auc":
        return round(float(roc_auc_score(y, predicted)), 4) if len(np.unique(y)) > 1 else 0.5
    return round(float(r2_score(y, predicted)), 4)


def recalibrated(propensity: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Probabilities that hold on average at every level: slope and intercept of their log-odds fitted
    anew.
    """
    from sklearn.linear_model import LogisticRegression

    p = np.clip(propensity, 1e-4, 1 - 1e-4)
    log_odds = np.log(p / (1 - p))
    if log_odds.std() < 1e-6:
        return p
    calibration = LogisticRegression(C=1e6, max_iter=500).fit(log_odds[:, None], t)
    return calibration.predict_proba(log_odds[:, None])[:, 1]


def bounded(propensity: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Away from 0 and 1 by what so many rows can bear (Gruber et al. 2022), so that a single row does not
    decide, yet never by more than a tenth of the rarer arm's share.
    """
    least = min(5 / (np.sqrt(len(t)) * np.log(len(t))), min(t.mean(), 1 - t.mean()) / 10)
    return np.clip(propensity, least, 1 - least)
