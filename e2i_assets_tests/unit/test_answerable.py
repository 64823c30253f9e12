"""Whether a scope can be answered: each thing that stands against it, by its code, and what is remarked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from e2i_assets.gates.model_candidate import ANSWERABLE
from e2i_assets.modeling.scopes.answerable import Answerability, Unanswerable, assess, require_answerable
from e2i_assets_tests.unit.modeling_frames import FEATURES, TRAIN, VALIDATION, scope

REGRESSION: dict[str, Any] = {"problem_type": "regression", "success_criteria": {"min_r2": 0.1}}
ROWS = len(TRAIN.X)


def frame(split: Any, started: Any = None) -> pd.DataFrame:
    values = split.y.astype(float) if started is None else np.resize(np.asarray(started), len(split.X))
    return split.X.assign(started=values)


def asked(
    started: Any = None, *, changes: dict[str, Any] | None = None, rows: int = ROWS, **more: Any
) -> Answerability:
    stated: dict[str, Any] = {
        "followup_days": 90,
        "outcomes": {"started": "conversion"},
        "audited": ["started"],
    }
    stated |= more
    train, validation = frame(TRAIN, started).head(rows), frame(VALIDATION, started)
    if (lab := stated.pop("lab_0", None)) is not None:
        train.loc[0, "lab_0"] = lab
    return assess(scope(**(changes or {})), train, validation, FEATURES, **stated)


def few(positive: int) -> np.ndarray:
    return np.arange(ROWS) < positive


NORMAL = np.random.default_rng(0).normal(size=ROWS)

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "nobody's outcome is known": ({"started": np.nan}, "outcome_unknown", "known of none"),
    "one class": ({"started": 1.0}, "unusable_outcome", "a classifier needs both"),
    "three positives": ({"started": few(3)}, "unusable_outcome", "train: 3 rows of the rarer outcome, 6 are"),
    "neither 0 nor 1": ({"started": [0.0, 1.0, 2.0]}, "unusable_outcome", "neither 0 nor 1"),
    "text": ({"started": ["yes", "no"]}, "target_type", "started is text, .* binary_classification must be a"),
    "text for a number": ({"started": ["1.5", "2"], "changes": REGRESSION}, "target_type", "is text"),
    "constant": ({"started": 5.0, "changes": REGRESSION}, "unusable_outcome", "is the same; there is nothing"),
    "infinite": (
        {"started": np.append(NORMAL[1:], np.inf), "changes": REGRESSION},
        "unusable_outcome",
        "the target of 1 of",
    ),
    "two values of a number": ({"changes": REGRESSION}, "unusable_outcome", "two values only"),
    "no such outcome": ({"changes": {"target": "relapsed"}}, "missing_column", "train has no column relapsed"),
    "too few": ({"rows": 60, "changes": {"minimum_samples": 61}}, "too_few_samples", "known of 60 patients of train, 61"),
    "horizon": ({"changes": {"horizon_days": 91}}, "horizon_beyond_followup", "91 days ahead, and the cohort is followed for 90"),
    "no window": (
        {"changes": {"horizon_days": 1}, "followup_days": None},
        "horizon_beyond_followup",
        "not followed for any window",
    ),
    "required": (
        {"changes": {"features": {"required": ["lab_0", "ldh"]}}},
        "required_features_missing",
        "required features ldh are not",
    ),
    "infinite feature": ({"lab_0": -np.inf}, "unusable_features", r"train: lab_0 \(1 rows\) hold numbers"),
    "huge feature": ({"lab_0": 1e300}, "unusable_features", r"lab_0 \(1 rows\) hold numbers .* beyond 1e\+30"),
    "no feature": (
        {"changes": {"features": {"exclude": [f.name for f in FEATURES]}}},
        "no_features",
        "none of 0 features differs",
    ),
    "huge": (
        {"started": NORMAL * 1e300, "changes": REGRESSION},
        "unusable_outcome",
        r"or beyond 1e\+30",
    ),
    "no audit": ({"audited": ["relapsed"]}, "not_audited", "could say nothing of started"),
    "why no audit": ({"audited": [], "unaudited": {"started": "one is infinite"}}, "not_audited", ": one is inf"),
    "another scope's outcome": (
        {"outcomes": {"started": "conversion", "lab_1": "churn"}},
        "outcome_as_feature",
        r"lab_1 \(of churn\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_stands_against_an_answer_is_refused(name: str) -> None:
    arguments, code, words = CASES[name]
    evidence = asked(**arguments)
    assert [obstacle.code for obstacle in evidence.obstacles] == [code]
    with pytest.raises(Unanswerable, match=words) as refused:
        require_answerable(evidence)
    assert refused.value.code == code
    assert len(refused.value.next_step) > 20
    verdict = ANSWERABLE.verdict(evidence)
    assert (verdict.passed, verdict.reason) == (False, code)


def test_more_features_than_patients() -> None:
    rare = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 70)), columns=[f"x{i}" for i in range(70)])
    train = rare.assign(started=np.resize([0.0, 1.0], 60))
    features = [FEATURES[0].__class__(**{**vars(FEATURES[0]), "name": name}) for name in rare]
    evidence = assess(scope(), train, train, features, followup_days=None, outcomes={}, audited=["started"])
    assert [obstacle.code for obstacle in evidence.obstacles] == ["more_features_than_patients"]


def test_every_obstacle_is_told_at_once() -> None:
    evidence = asked(
        changes={"horizon_days": 365, "features": {"required": ["ldh"]}, "minimum_samples": 10**6}
    )
    codes = ["horizon_beyond_followup", "required_features_missing", "too_few_samples"]
    assert [obstacle.code for obstacle in evidence.obstacles] == codes
    with pytest.raises(Unanswerable, match=r"365 days ahead.*ldh.*1000000 are asked for"):
        require_answerable(evidence)


def test_an_answer_says_what_it_rests_on() -> None:
    values = np.where(np.arange(ROWS) < 40, np.nan, TRAIN.y)
    evidence = asked(values, changes={"features": {"exclude": ["lab_0"]}})
    assert evidence.obstacles == ()
    known = pd.Series(values).dropna()
    rarer = int(min(known.sum(), (1 - known).sum()))
    figures = (evidence.patients, evidence.known, evidence.events, evidence.features)
    assert figures == (ROWS, ROWS - 40, rarer, len(FEATURES) - 1)
    assert evidence.rate == pytest.approx(known.mean())
    assert evidence.per_feature == rarer / (len(FEATURES) - 1)
    assert "40 of" in evidence.remarks[0]
    verdict = ANSWERABLE.verdict(evidence)
    assert verdict.passed
    assert "40 of" in verdict.message
