"""Refutations on rows where all is well, and on rows where it is not: there they have to fail."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal import CausalDataError, EffectReport, RefutationReport, estimate_effect, refute
from e2i_assets.json_files import from_json, to_json

ROWS, REPETITIONS = 500, 12
CONTROLS = [f"control_{i}" for i in range(6)]


@cache
def patients(seed: int = 3) -> pd.DataFrame:
    """A confounder that is measured, and one that is not; controls that only the latter moves."""
    rng = np.random.default_rng(seed)
    severity, hidden = rng.normal(size=(2, ROWS))
    treated = (rng.random(ROWS) < 1 / (1 + np.exp(-severity))).astype(int)
    misled = (rng.random(ROWS) < 1 / (1 + np.exp(-severity - 2 * hidden))).astype(int)
    frame = pd.DataFrame({"severity": severity, "treated": treated, "misled": misled})
    frame["outcome"] = severity + treated + hidden + rng.normal(size=ROWS)
    frame["exposure"] = (rng.random(ROWS) < 1 / (1 + np.exp(-hidden))).astype(int)
    for column in CONTROLS:
        frame[column] = hidden + rng.normal(size=ROWS)
    return frame


@cache
def report(treatment: str = "treated") -> EffectReport:
    return estimate_effect(patients(), treatment=treatment, outcome="outcome", covariates=["severity"])


@cache
def refuted(treatment: str) -> RefutationReport:
    return refute(
        patients(), report(treatment), negative_outcomes=CONTROLS, negative_exposures=["exposure"],
        repetitions=REPETITIONS, jobs=2,
    )  # fmt: skip


def named(given: RefutationReport) -> dict[str, Any]:
    return {r.column or r.name: r for r in given.refutations}


def test_where_all_is_well_nothing_fails() -> None:
    report = named(refuted("treated"))
    assert list(report)[:5] == [
        "placebo_treatment", "dummy_outcome", "data_subset", "random_common_cause", "bootstrap",
    ]  # fmt: skip
    assert {name: r.verdict for name, r in report.items() if r.verdict == "failed"} == {"exposure": "failed"}
    assert all(report[name].verdict != "failed" for name in CONTROLS)
    assert refuted("treated").calibration.p < 0.05  # type: ignore[union-attr]
    assert from_json(RefutationReport, to_json(refuted("treated"))) == refuted("treated")


def test_negative_controls_show_a_confounder_that_nobody_measured() -> None:
    result = refuted("misled")
    assert report("misled").effect.p < 0.001  # type: ignore[union-attr]
    assert result.verdict == "failed"
    assert result.failed.count("negative_control_outcome") == len(CONTROLS)
    assert result.calibration.mean > 0.3  # type: ignore[union-attr]
    assert result.calibration.p > 0.05  # type: ignore[union-attr]


def test_the_result_does_not_depend_on_the_number_of_processes() -> None:
    one, two = (refute(patients(), report(), repetitions=5, jobs=jobs) for jobs in (1, 2))
    assert one == two


def test_there_is_nothing_to_refute_without_an_estimate() -> None:
    refused = replace(report(), status="not_identified", effect=None)
    with pytest.raises(CausalDataError, match="is not identified: no estimate to refute"):
        refute(patients(), refused)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"repetitions": 1}, "1 repetitions tell nothing"),
        (
            {"repetitions": 5, "negative_exposures": ["rare"]},
            "control rare can show nothing: Too few of an arm",
        ),
        ({"repetitions": 5, "negative_exposures": ["rule"]}, "rule can show nothing: The covariates decide"),
        ({"negative_exposures": ["rule"] * 5}, "control named twice: rule"),
        ({"negative_outcomes": ["outcome"]}, "no negative control: outcome is the outcome"),
        ({"negative_outcomes": ["severity"]}, "no negative control: severity is a covariate"),
        ({"negative_exposures": ["treated"]}, "no negative control: treated is the treatment"),
        ({"negative_outcomes": "rule"}, "are a text, not a list"),
    ],
)
def test_what_can_show_nothing_does_not_pass(asked: dict[str, Any], words: str) -> None:
    frame = patients().assign(rare=np.arange(ROWS) < 4, rule=lambda f: f.severity > 0)
    with pytest.raises(CausalDataError, match=words):
        refute(frame, report(), **asked)


def test_other_rows_than_those_of_the_report_are_refused() -> None:
    with pytest.raises(CausalDataError, match="the frame has 100 rows of treated, the report is of 500"):
        refute(patients().head(100), report(), repetitions=5)
    with pytest.raises(CausalDataError, match="treated or outcome of the frame is not that of the report"):
        refute(patients().assign(outcome=lambda f: -f.outcome), report(), repetitions=5)
