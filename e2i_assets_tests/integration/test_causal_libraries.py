"""DoWhy, EconML and CausalML really asked, on the same few hundred rows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal import CausalDataError, CausalGraph, CrossValidation, CrossValidator
from e2i_assets.causal.libraries import LIBRARIES

EFFECT = 1.0
ASKED = {"treatment": "engaged", "outcome": "trx", "covariates": ["severity", "region"]}
DRAWN = CausalGraph.parse(
    ["severity -> engaged -> trx", "severity -> trx", "region -> trx", "engaged -> visits"]
)


def rows(count: int, *, effect: float = EFFECT, strength: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Rows in which the severe are engaged more often and prescribe more anyway."""
    rng = np.random.default_rng(seed)
    severity = rng.normal(size=count)
    engaged = rng.binomial(1, 1 / (1 + np.exp(-strength * severity)))
    region = rng.choice(["north", "south"], count)
    trx = 10 + 2 * severity + (region == "north") + effect * engaged + rng.normal(size=count)
    visits = engaged + rng.normal(size=count)
    return pd.DataFrame(
        {"engaged": engaged, "trx": trx, "severity": severity, "region": region, "visits": visits}
    )


@pytest.fixture(scope="module")
def validated() -> CrossValidation:
    return CrossValidator().validate(rows(600), **ASKED, libraries=["dowhy", "econml", "causalml"])


def test_pictures_look_as_they_did_before_the_libraries_were_asked(validated: CrossValidation) -> None:
    from matplotlib import rcParams, rcParamsDefault

    assert rcParams["axes.facecolor"] == rcParamsDefault["axes.facecolor"]
    assert rcParams["lines.linewidth"] == rcParamsDefault["lines.linewidth"]


def test_three_libraries_find_the_effect_that_the_arms_hide(validated: CrossValidation) -> None:
    frame = rows(600)
    naive = frame.trx[frame.engaged == 1].mean() - frame.trx[frame.engaged == 0].mean()
    assert naive > EFFECT + 1
    estimates = {result.library: result for result in validated.libraries}
    assert list(estimates) == ["dowhy", "econml", "causalml"]
    for name, result in estimates.items():
        assert result.effect is not None, result
        assert result.effect.low < EFFECT < result.effect.high
        assert result.version == metadata.version(name)
        assert result.seconds > 0
    assert len({result.effect.estimate for result in validated.libraries if result.effect}) == 3
    assert (validated.status, validated.direction_agreement, len(validated.pairs)) == ("passed", True, 3)
    assert validated.agreement_score is not None
    assert validated.agreement_score > 0.9
    assert validated.consensus_interval is not None
    assert validated.consensus_interval[0] < EFFECT < validated.consensus_interval[1]


def test_awaited_it_is_the_same(validated: CrossValidation) -> None:
    async def both() -> tuple[CrossValidation, CrossValidation]:
        validator = CrossValidator()
        return await validator.validate(rows(600), **ASKED), await validator.validate_async(
            rows(600), **ASKED
        )

    for given in asyncio.run(both()):
        assert timeless(given) == timeless(validated)


def timeless(given: CrossValidation) -> CrossValidation:
    return replace(given, libraries=tuple(replace(library, seconds=0.0) for library in given.libraries))


def test_a_library_that_fails_is_named_and_no_gate_passes() -> None:
    def singular(_: Any) -> Any:
        raise np.linalg.LinAlgError("Singular matrix")

    known = {**LIBRARIES, "causalml": replace(LIBRARIES["causalml"], estimate=singular)}
    validation = CrossValidator(known).validate(rows(300), **ASKED)
    assert (validation.status, validation.passed, len(validation.pairs)) == ("incomplete", False, 1)
    assert validation.explanation == "causalml failed (LinAlgError)"


def test_a_dose_is_no_question_for_causalml() -> None:
    frame = rows(300)
    frame["engaged"] = frame.severity + np.random.default_rng(1).normal(size=len(frame))
    frame["trx"] += 0.5 * frame.engaged
    validation = CrossValidator().validate(frame, **ASKED)
    assert validation.explanation.startswith("causalml failed (CausalDataError)")
    assert validation.status == "incomplete"
    assert validation.direction_agreement
    validation = CrossValidator().validate(frame, **ASKED, libraries=["dowhy", "econml"])
    assert validation.passed, validation


def test_without_an_effect_they_agree_on_none() -> None:
    validation = CrossValidator().validate(rows(600, effect=0.0, seed=3), **ASKED)
    assert validation.direction_agreement
    assert validation.consensus_interval is not None
    assert validation.consensus_interval[0] < 0 < validation.consensus_interval[1]


def test_rows_that_cannot_tell_are_not_asked_about() -> None:
    validation = CrossValidator().validate(rows(600, strength=30.0), **ASKED)
    assert (validation.status, validation.libraries, validation.consensus_effect) == (
        "not_identified",
        (),
        None,
    )
    assert "covariates decide the treatment" in validation.explanation


def test_dowhy_identifies_in_the_graph(validated: CrossValidation) -> None:
    frame = rows(600)
    validation = CrossValidator().validate(
        frame, treatment="engaged", outcome="trx", graph=DRAWN, libraries=["dowhy", "econml"]
    )
    assert validation.covariates == ("severity", "region")
    assert validation.libraries[0].effect == validated.libraries[0].effect
    with pytest.raises(CausalDataError, match="visits, a consequence of engaged"):
        CrossValidator().validate(frame, **(ASKED | {"covariates": ["severity", "visits"]}), graph=DRAWN)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"libraries": ["dowhy", "causalimpact"]}, "no such library: causalimpact"),
        ({"libraries": ["dowhy", "dowhy"]}, "name each library once"),
        ({"covariates": []}, "no covariates"),
        ({"covariates": ["severity", "age"]}, "column not in the frame: age"),
        (
            {"covariates": ["severity", "days_to_treatment"]},
            "known only after the treatment: days_to_treatment",
        ),
        ({"timeout": 0}, "a timeout of 0 s"),
        ({"folds": 1}, "1 folds, seed 0"),
        ({"frame": rows(60).assign(severity=1.0, region="north")}, "covariates of one value alone: severity"),
        ({"frame": pd.concat([rows(60), rows(60)[["trx"]]], axis=1)}, "more than one column .* trx"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(CausalDataError, match=message):
        CrossValidator().validate(**({"frame": rows(60)} | ASKED | asked))


def test_rows_of_unknown_outcome_are_left_out_for_all() -> None:
    frame = rows(300)
    frame.loc[frame.index[:50], "trx"] = np.nan
    validation = CrossValidator().validate(frame, **ASKED, libraries=["dowhy", "econml"])
    assert (validation.rows, validation.without_outcome, validation.estimand) == (250, 50, "ate")


def test_a_library_that_hangs_or_crashes_is_ended_and_has_failed(
    validated: CrossValidation, tmp_path: Path
) -> None:
    def hangs(_: Any) -> Any:
        (tmp_path / "process").write_text(str(os.getpid()))
        time.sleep(600)

    def crashes(_: Any) -> Any:
        os._exit(1)

    def validate(estimate: Callable[[Any], Any], **given: float) -> CrossValidation:
        known = {"causalml": replace(LIBRARIES["causalml"], module="numpy", estimate=estimate)}
        return CrossValidator(known).validate(rows(300), **ASKED, libraries=["causalml"], **given)

    validation = validate(hangs, timeout=5)
    assert (validation.status, validation.libraries[0].error) == ("incomplete", "TimeoutError")
    assert validation.explanation.startswith("causalml failed (TimeoutError)")
    assert not Path(f"/proc/{(tmp_path / 'process').read_text()}").exists()
    assert validate(crashes).libraries[0].error == "Crash"
    assert validate(lambda _: (1.0, 0.5, 1.5)).libraries[0].error == ""
