"""Each causal learner against effects that are known: who is treated depends on what also moves the outcome."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest

from e2i_assets.causal.learners import LEARNERS
from e2i_assets.modeling.selection.catalogue import CATALOGUE
from e2i_assets.modeling.training.identity import fingerprint

ROWS = 1200
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4))
T = (RNG.random(ROWS) < 1 / (1 + np.exp(-0.8 * X[:, 0]))).astype(int)
EFFECT = 1 + X[:, 1]
Y = X[:, 0] + 0.5 * X[:, 2] ** 2 + EFFECT * T + RNG.normal(size=ROWS)
NEW = RNG.normal(size=(400, 4))


@cache
def fitted(name: str) -> Any:
    learner = LEARNERS[name]
    return learner.build(learner.defaults, 42).fit(Y, T, X=X)


def test_they_are_the_causal_ones_of_the_catalogue() -> None:
    assert list(LEARNERS) == [p.name for p in CATALOGUE.values() if p.family == "causal_ml"]
    assert len(CATALOGUE) == 12
    for learner in LEARNERS.values():
        assert set(learner.search_space) <= set(learner.defaults)


@pytest.mark.parametrize("name", LEARNERS)
def test_it_finds_the_effect_where_the_plain_difference_is_wrong(name: str) -> None:
    effects = fitted(name).effect(NEW)
    truth = 1 + NEW[:, 1]
    naive = Y[T == 1].mean() - Y[T == 0].mean()
    assert effects.shape == (400,)
    assert abs(naive - EFFECT.mean()) > 0.4
    assert abs(effects.mean() - truth.mean()) < 0.2
    assert np.corrcoef(effects, truth)[0, 1] > 0.8


@pytest.mark.parametrize("name", LEARNERS)
def test_it_travels_and_comes_out_the_same_again(name: str) -> None:
    first, learner = fitted(name), LEARNERS[name]
    packed = pickle.dumps(first)
    assert b"e2i_assets" not in packed
    np.testing.assert_array_equal(pickle.loads(packed).effect(NEW), first.effect(NEW))
    again = learner.build(learner.defaults, 42).fit(Y, T, X=X)
    np.testing.assert_array_equal(again.effect(NEW), first.effect(NEW))
    assert fingerprint(again) == fingerprint(first) == fingerprint(pickle.loads(packed))
    other = learner.build({**learner.defaults, "nuisance": "linear"}, 42).fit(Y, T, X=X)
    assert fingerprint(other) != fingerprint(first)
    assert np.corrcoef(other.effect(NEW), first.effect(NEW))[0, 1] > 0.7
