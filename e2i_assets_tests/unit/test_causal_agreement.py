"""Whether libraries agree, and what they say together, from their estimates alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from e2i_assets.causal import agreement
from e2i_assets.causal.asking import LibraryResult, ask
from e2i_assets.causal.cross_validation import CrossValidation, concluded
from e2i_assets.causal.data import CausalData
from e2i_assets.causal.libraries import Answer, Library
from e2i_assets.causal.question import Question
from e2i_assets.causal.report import Effect

ASKED = CrossValidation("not_identified", "engaged", "initiated", ("age",), rows=40, folds=5, seed=0)


def effect(estimate: float, standard_error: float) -> Effect:
    half = 1.96 * standard_error
    p = float(2 * norm.sf(abs(estimate) / standard_error))
    return Effect(estimate, estimate - half, estimate + half, p, standard_error)


def results(*effects: Effect | None) -> list[LibraryResult]:
    return [
        LibraryResult(f"library{number}", "1.0", "a method", 0.1, given, "" if given else "ValueError")
        for number, given in enumerate(effects)
    ]


@pytest.mark.parametrize(
    ("one", "other", "score", "status"),
    [
        (effect(1.00, 0.10), effect(0.90, 0.10), 0.90, "passed"),
        (effect(1.00, 0.10), effect(0.70, 0.10), 0.70, "warning"),
        (effect(1.00, 0.05), effect(0.40, 0.05), 0.40, "failed"),
        (effect(0.50, 0.10), effect(-0.50, 0.10), 0.0, "failed"),
        # An effect below its noise: signs that differ by a hair contradict nothing.
        (effect(0.02, 0.10), effect(-0.02, 0.10), 1 - 0.04 / 0.392, "passed"),
        # One significant, the other of the other sign: a contradiction, however close.
        (effect(0.21, 0.10), effect(-0.01, 0.10), 1 - 0.22 / 0.392, "failed"),
        (effect(0.21, 0.10), effect(0.19, 0.10), 1 - 0.02 / 0.392, "warning"),
        # So many rows that 5 % is more than the noise: alike, but for a reason that the rows do not give.
        (effect(1.00, 0.01), effect(0.95, 0.01), 0.95, "warning"),
        # Both far below what matters: 0.05 of the outcome's standard deviation of 2.
        (effect(0.02, 0.004), effect(0.01, 0.004), 0.90, "passed"),
    ],
)
def test_a_pair(one: Effect, other: Effect, score: float, status: str) -> None:
    (pair,) = agreement.compare({"a": one, "b": other}, outcome_sd=2.0)
    assert pair.agreement == pytest.approx(score)
    assert pair.status == status
    assert bool(pair.why) == (status != "passed")


def test_intervals_overlap_by_what_they_share_of_what_they_cover() -> None:
    def interval(low: float, high: float) -> Effect:
        return Effect((low + high) / 2, low, high, 0.5, 1.0)

    assert agreement.interval_overlap(interval(0, 2), interval(1, 4)) == pytest.approx(1 / 4)
    assert agreement.interval_overlap(interval(0, 1), interval(2, 3)) == 0.0


@pytest.mark.parametrize("estimates", [(0.1, 0.5, 0.9), (-0.4, 0.4), (0.30, 0.31, 0.32)])
def test_a_consensus_is_no_surer_than_the_libraries_differ(estimates: tuple[float, ...]) -> None:
    conclusion = concluded(ASKED, results(*(effect(e, 0.01) for e in estimates)), outcome_sd=1.0)
    assert conclusion.consensus_effect == pytest.approx(np.median(estimates))
    assert conclusion.consensus_interval is not None
    low, high = conclusion.consensus_interval
    assert low < min(estimates)
    assert high > max(estimates)


def test_one_contradiction_is_not_outvoted() -> None:
    conclusion = concluded(ASKED, results(effect(1, 0.1), effect(1, 0.1), effect(-1, 0.1)), outcome_sd=1.0)
    assert (conclusion.status, conclusion.passed, conclusion.direction_agreement) == ("failed", False, False)
    assert "library0 and library2: opposite directions" in conclusion.explanation


def test_libraries_that_agree_pass() -> None:
    conclusion = concluded(
        ASKED, results(effect(1, 0.1), effect(1.02, 0.1), effect(0.99, 0.1)), outcome_sd=1.0
    )
    assert (conclusion.status, conclusion.passed, conclusion.explanation) == ("passed", True, "")
    assert conclusion.agreement_score == pytest.approx(1 - (0.02 / 1.02 + 0.01 + 0.03 / 1.02) / 3)


@pytest.mark.parametrize("succeeded", [2, 1, 0])
def test_a_failure_is_no_agreement(succeeded: int) -> None:
    conclusion = concluded(
        ASKED, results(*[effect(1, 0.1)] * succeeded, *[None] * (3 - succeeded)), outcome_sd=1.0
    )
    assert (conclusion.status, conclusion.passed) == ("incomplete", False)
    assert "library2 failed (ValueError)" in conclusion.explanation
    if succeeded < 2:
        assert (
            conclusion.agreement_score is conclusion.consensus_effect is conclusion.consensus_interval is None
        )
        assert conclusion.direction_agreement is conclusion.interval_overlap is None


QUESTION = Question(
    data=CausalData(
        x=np.zeros((4, 1)), columns=("age",), y=np.array([0.0, 1.0, 0.0, 1.0]), t=np.array([0.0, 0.0, 1.0, 1.0]),
        treatment_kind="binary", outcome_kind="binary", arm="1", control="0", left_out=(), index=np.arange(4),
    ),
    folds=np.array([0, 1, 0, 1]), propensity=np.full(4, 0.5), outcome_kind="linear", treatment_kind="linear",
    edges=(), seed=0,
)  # fmt: skip


def library(answer: Any, **other: str) -> Library:
    def estimate(_: Question) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return replace(Library("numpy", "numpy", "as it likes", "", estimate), **other)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (library(np.linalg.LinAlgError("Singular matrix")), "LinAlgError"),
        (library(Answer(float("nan"), 0.0, 1.0)), "ValueError"),
        (library(Answer(0.5, float("-inf"), 1.0)), "ValueError"),
        (library(Answer(0.5, 0.5, 0.5)), "ValueError"),
        (library(Answer(0.5, 0.6, 0.7)), "ValueError"),
        (library(Answer(1.5, 1.0, 2.0)), "ValueError"),  # more than from all 0 to all 1
        (library(Answer(0.5, 0.4, 0.6), distribution="not-installed-here"), "PackageNotFoundError"),
        (library(Answer(0.5, 0.4, 0.6), module="not_installed_here"), "ModuleNotFoundError"),
    ],
)
def test_what_is_no_estimate_is_a_failure_by_name(asked: Library, error: str) -> None:
    answer = ask("one", asked, QUESTION)
    assert (answer.effect, answer.error) == (None, error)
    assert answer.detail


def test_an_estimate_has_its_method_version_and_time() -> None:
    answer = ask("one", library(Answer(0.5, 0.3, 0.7)), QUESTION)
    assert answer.effect is not None
    assert answer.effect.p == pytest.approx(2 * norm.sf(0.5 / (0.2 / 1.96)), rel=0.01)
    assert (answer.version, answer.method, answer.error) == (np.__version__, "as it likes", "")
    assert answer.seconds >= 0
