"""The check that compares our estimate with those of other libraries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2i_assets.causal.asking import LibraryResult
from e2i_assets.causal.cross_validation import concluded
from e2i_assets.causal.report import Effect, EffectReport
from e2i_assets.gates.cross_validation import LIBRARIES_AGREE, Compared
from e2i_assets_tests.unit.fail_closed.effects import NOT_ASKED, NOTHING


def effect(estimate: float) -> Effect:
    return Effect(estimate, estimate - 0.1, estimate + 0.1, 0.0001, 0.05)


def report(estimate: float) -> EffectReport:
    return replace(NOTHING, status="effect", effect=effect(estimate))


def results(*estimates: float | None) -> list[LibraryResult]:
    return [
        LibraryResult(
            f"library{n}", "1", "", 0.0, None if e is None else effect(e), "" if e else "ValueError"
        )
        for n, e in enumerate(estimates)
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (0.40, (0.40, 0.41, 0.39), "ok"),
        (0.60, (0.40, 0.41, 0.39), "estimate_outside"),
        (0.40, (0.40, 0.30, 0.39), "libraries_warning"),
        (0.40, (0.40, -0.40, 0.39), "libraries_failed"),
        (0.40, (0.40, 0.41, None), "libraries_incomplete"),
        (0.40, (0.40, None, None), "libraries_incomplete"),
    ],
)
def test_only_libraries_that_all_agree_satisfy_it(
    ours: float, theirs: tuple[float | None, ...], reason: str
) -> None:
    answer = LIBRARIES_AGREE.verdict(Compared(report(ours), concluded(NOT_ASKED, results(*theirs), 1.0)))
    assert (answer.passed, answer.reason) == (reason == "ok", reason)
