"""Confusion matrices of several classes, their F1, and the bootstrap of both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000
SEED = 42


def resampled(y: np.ndarray, decided: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrices of the bootstrap, shape (draws, classes, classes)."""
    cells = np.bincount(y * classes + decided, minlength=classes**2)
    drawn = np.random.default_rng(SEED).multinomial(len(y), cells / len(y), RESAMPLES)
    return drawn.reshape(-1, classes, classes)


def bootstrapped_f1(y: np.ndarray, predictions: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Weighted F1 of models on the same resamples of rows, shape (models, draws)."""
    classes = predictions[0].shape[1]
    rows = np.column_stack([y, *[p.argmax(axis=1) for p in predictions]])
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    drawn = rng.multinomial(len(y), counts / len(y), RESAMPLES)
    return np.array(
        [f1_scores(confusions(kinds[:, 0], decided, drawn, classes))[0] for decided in kinds[:, 1:].T]
    )


def confusions(y: np.ndarray, decided: np.ndarray, counts: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrices, shape (draws, classes, classes), of kinds of rows that come `counts` times.

    Args:
        counts: shape (draws, kinds).
    """
    of_cell = np.zeros((len(y), classes**2))
    of_cell[np.arange(len(y)), y * classes + decided] = 1
    return (counts @ of_cell).reshape(-1, classes, classes)


def f1_scores(confusions: np.ndarray) -> np.ndarray:
    """F1, weighted and macro, of confusion matrices, shape (2, draws); absent classes are left out."""
    rows, decided = confusions.sum(axis=2), confusions.sum(axis=1)
    right = np.diagonal(confusions, axis1=1, axis2=2)
    f1 = 2 * right / np.maximum(rows + decided, 1)
    occurring = (rows + decided) > 0
    return np.array([(f1 * rows).sum(axis=1) / rows.sum(axis=1), f1.sum(axis=1) / occurring.sum(axis=1)])
