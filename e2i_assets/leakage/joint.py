"""How well all features together tell the outcome: a small boosting model, out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from e2i_assets.leakage.univariate import Outcome, separation
from e2i_assets.leakage.view import Column

ROWS = 20_000
_FOLDS = 3
_TREES = 50
_LEAST_ROWS = 60
_TRIED = 15  # features that are shuffled, those with the largest gain
_MANY_LEVELS = 255
_SETTINGS: Mapping[str, Any] = {
    "num_leaves": 31, "learning_rate": 0.15, "max_bin": 63, "seed": 0, "deterministic": True,
    "force_row_wise": True, "num_threads": 1, "verbose": -1,
}  # fmt: skip


def spread(rows: int, most: int) -> np.ndarray:
    """Places of at most so many rows, evenly taken."""
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).astype(int)


@dataclass(frozen=True)
class Joint:
    """Features of a sample of rows and their outcome.

    Attributes:
        values: column to its numbers or codes, NaN for missing.
        codes: names of columns whose values are codes of levels.
        outcome: of the sample; whole groups are in one of its three folds.
        labels: what the model learns: 0/1, a class number, or the standardized number.
        classes: number of class labels; 1 for all else.
    """

    values: Mapping[str, np.ndarray]
    codes: frozenset[str]
    outcome: Outcome
    labels: np.ndarray
    classes: int

    @classmethod
    def of(cls, columns: Sequence[Column], outcome: Outcome) -> Joint | None:
        """At most 20,000 rows of them; None where there are fewer than two features or 60 rows."""
        rows = spread(len(outcome.folds), ROWS)
        if len(columns) < 2 or len(rows) < _LEAST_ROWS:
            return None
        values = {c.name: c.coded.codes[rows] if c.numbers is None else c.numbers[rows] for c in columns}
        codes = {c.name for c in columns if c.numbers is None and c.coded.levels <= _MANY_LEVELS}
        wanted = outcome.columns[rows]
        labels, classes = wanted[:, 0], 1
        if outcome.kind == "classes":  # the rest of the classes, where there is one, comes last
            classes = wanted.shape[1] + int(not wanted.any(axis=1).all())
            labels = np.where(wanted.any(axis=1), wanted.argmax(axis=1), wanted.shape[1])
        sample = replace(outcome, columns=wanted, folds=outcome.folds[rows] % _FOLDS)
        return cls(values, frozenset(codes), sample, labels, classes)

    def score(self, names: Sequence[str]) -> float:
        """Out-of-fold AUC, of several classes the highest of one against the rest, or R²."""
        if not names:
            return 0.0
        return self._compare([model.predict(rows, num_threads=1) for rows, model in self._models(names)])

    def losses(self, names: Sequence[str], asked: Sequence[str]) -> dict[str, float]:
        """By how much the score of `names` falls when one of `asked` is shuffled within the held-out rows."""
        models, rng = self._models(names), np.random.default_rng(0)
        gains = dict(zip(names, sum(m.feature_importance("gain") for _, m in models), strict=True))
        whole = self._compare([model.predict(rows, num_threads=1) for rows, model in models])
        lost = {}
        for name in sorted(asked, key=lambda n: -gains[n])[:_TRIED]:
            at, predicted = names.index(name), []
            for rows, model in models:
                shuffled = rows.copy()
                shuffled[:, at] = rng.permutation(rows[:, at])
                predicted.append(model.predict(shuffled, num_threads=1))
            lost[name] = whole - self._compare(predicted)
        return lost

    def _models(self, names: Sequence[str]) -> list[tuple[np.ndarray, Any]]:
        """For each fold its rows, and the model of the other folds."""
        import lightgbm as lgb

        table, folds = np.column_stack([self.values[n].astype(float) for n in names]), self.outcome.folds
        settings = {
            **_SETTINGS,
            "objective": "multiclass" if self.outcome.kind == "classes" else self.outcome.kind,
            "num_class": self.classes,
            "min_data_in_leaf": int(np.clip(len(self.labels) // 50, 5, 20)),
        }
        codes = [i for i, name in enumerate(names) if name in self.codes]
        data = lgb.Dataset(
            table, self.labels, categorical_feature=codes, params=settings, free_raw_data=False
        ).construct()
        return [
            (table[folds == k], lgb.train(settings, data.subset(np.flatnonzero(folds != k).tolist()), _TREES))
            for k in range(_FOLDS)
        ]

    def _compare(self, predicted: Sequence[np.ndarray]) -> float:
        scores = np.empty((len(self.labels), self.classes))
        for fold, part in enumerate(predicted):
            scores[self.outcome.folds == fold] = part.reshape(len(part), -1)
        columns = zip(scores.T, self.outcome.columns.T, strict=False)  # the rest is no class
        return max(separation(s, y, self.outcome.kind) for s, y in columns)
