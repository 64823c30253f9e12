"""What a bundle's gate refuses, by the way in which the bundle was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from e2i_assets.gates.bento_bundle import BUNDLE_ANSWERS, Answers

TOLD = np.linspace(0.1, 0.9, 20)
ENDS = np.linspace(-1e9, 1e9, 20)


@pytest.mark.parametrize(
    ("answers", "reason", "words"),
    [
        (Answers(TOLD, TOLD, TOLD), "ok", "on 20 rows, asked all at once and as a row alone"),
        (Answers(TOLD, TOLD, None), "ok", "on 20 rows, asked all at once"),
        (Answers(ENDS, ENDS, ENDS + 1), "ok", "agree"),
        (
            Answers(TOLD, TOLD + 2e-6, TOLD),
            "bundle_differs",
            "asked all at once, bundle and model differ by 2e-06",
        ),
        (
            Answers(TOLD, TOLD, TOLD + 2e-6),
            "bundle_differs",
            "asked a row alone, bundle and model differ by 2e-06",
        ),
        (Answers(TOLD, TOLD, TOLD * np.nan), "not_finite", "no number"),
        (Answers(TOLD, TOLD, TOLD[:19]), "too_few_answers", "alone, 19 of 20"),
        (
            Answers(TOLD, TOLD, TOLD, ["slower than 5 ms"]),
            "constraint_broken",
            "measured here: slower than 5 ms",
        ),
    ],
)
def test_the_bundle_is_asked_both_ways(answers: Any, reason: str, words: str) -> None:
    verdict = BUNDLE_ANSWERS.judge(answers)
    assert (verdict.passed, verdict.reason) == (reason == "ok", reason)
    assert words in verdict.message
