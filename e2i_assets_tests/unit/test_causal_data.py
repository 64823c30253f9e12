"""What a table cannot be asked, refused by name before anything is estimated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from e2i_assets.causal import CausalDataError, CausalGraph, estimate_effect
from e2i_assets.causal.data import known_afterwards, prepare
from e2i_assets.contracts.variables import Feature

ROWS = 60
MEDIATED = CausalGraph.parse(
    ["treated -> visits -> outcome", "plan -> treated", "plan -> outcome", "age -> outcome"]
)


def table() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "treated": rng.integers(0, 2, ROWS),
            "outcome": rng.normal(size=ROWS),
            "age": rng.normal(50, 10, ROWS),
            "plan": rng.choice(["commercial", "medicaid"], ROWS),
            "arm": rng.choice(["none", "low", "high"], ROWS),
            "visits": rng.integers(0, 3, ROWS),
            "key": [f"P{number}" for number in range(ROWS)],
        }
    )


def ask(frame: pd.DataFrame, **changed: object) -> None:
    estimate_effect(
        frame, **({"treatment": "treated", "outcome": "outcome", "covariates": ["age"]} | changed)
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "asked", "words"),
    [
        (lambda f: f.assign(treated=1), {}, "treatment treated has one arm alone in 60 rows"),
        (
            lambda f: f.assign(treated=f.treated.where(f.index > 4)),
            {},
            "treatment treated: missing in 5 of 60",
        ),
        (lambda f: pd.concat([f, f.head(3)], ignore_index=True), {}, "duplicated rows: 6 of 63"),
        (lambda f: pd.concat([f, f.head(3)]), {}, "duplicated rows: 3 of 63 repeat another in the index"),
        (lambda f: f, {"treatment": "arm"}, r"arm has arms that are not 0 and 1 \(high, low, none\)"),
        (lambda f: f, {"treatment": "arm", "control": "none"}, "treatment arm has arms"),
        (lambda f: f, {"treatment": "arm", "control": "no", "target": "low"}, "treatment arm has arms"),
        (lambda f: f, {"treatment": "visits"}, "treatment visits has arms"),
        (lambda f: f, {"outcome": "plan"}, "outcome plan is object, not a number"),
        (lambda f: f.assign(outcome=1.0), {}, "outcome outcome has 1 values"),
        (lambda f: f, {"covariates": ["age", "weight"]}, "column not in the frame: weight"),
        (lambda f: f, {"covariates": ["age", "treated"]}, "named more than once .*: treated"),
        (lambda f: f, {"covariates": ["key"]}, "covariate key is text with 60 values in 60 rows"),
        (lambda f: f.assign(age=np.inf), {}, "covariate age has values without end"),
        (lambda f: f, {"covariates": ["visits"], "graph": MEDIATED}, "visits, a mediator from treated to outcome"),
        (lambda f: f, {"covariates": ["age"], "graph": MEDIATED}, "open back door: treated <- plan -> outcome"),
        (lambda f: f, {"estimand": "late"}, "no estimand 'late'"),
        (lambda f: f, {"instruments": ["plan"]}, "instrument plan is object, not a number"),
        (lambda f: f, {"instruments": []}, "instruments is an empty list"),
        (lambda f: f, {"instruments": "visits"}, "instruments is the text 'visits'"),
        (lambda f: f, {"instruments": ["lot"]}, "instrument not in the frame: lot"),
        *((lambda f: f, {"instruments": [n]}, f"named also as .*: {n}") for n in ("treated", "outcome", "age")),
        (lambda f: f, {"instruments": ["visits", "visits"]}, "or twice: visits"),
        (lambda f: f.assign(visits=1), {"instruments": ["visits"]}, "instrument visits is constant"),
        (lambda f: f.assign(visits=np.inf), {"instruments": ["visits"]}, "instrument visits has values without"),
        (lambda f: f.assign(visits=f.visits.where(f.index > 4)), {"instruments": ["visits"]}, "missing in 5 of 60"),
        (lambda f: f.assign(visits=3 - f.treated), {"instruments": ["visits"]}, "visits is the treatment treated in"),
        (lambda f: f.assign(more=2 * f.visits), {"instruments": ["visits", "more"]}, "says what the others say"),
        (lambda f: f.assign(outcome=f.outcome.where(f.index > 4)), {"instruments": ["visits"]}, "outcome: missing in 5"),
        (lambda f: f, {"instruments": ["visits"], "estimand": "att"}, "att is not told by instruments"),
        (lambda f: f, {"instruments": ["visits"], "graph": MEDIATED}, "visits, a mediator from treated"),
        (lambda f: f.assign(lot=f.visits), {"instruments": ["lot"], "graph": CausalGraph.parse(
            ["lot -> treated -> outcome", "lot -> outcome", "age -> outcome"])}, "no instrument: lot, from which"),
        (lambda f: f.assign(treated=f.age), {"covariates": [], "estimand": "att"}, "treated is a dose"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: f.assign(age=np.exp(-f.outcome)), {}, "covariate age is the outcome outcome in other words"),
        (lambda f: f.assign(outcome=7 - 2 * f.treated), {}, "outcome outcome is the treatment treated in other"),
        (lambda f: f.assign(outcome=f.outcome + 1j), {}, "outcome outcome is complex128, not a number"),
        (
            lambda f: pd.concat([f.assign(note=[[1]] * ROWS)] * 2, ignore_index=True),
            {},
            "duplicated rows: 120 of 120",
        ),
        (lambda f: f.assign(treated=[[0], [1]] * (ROWS // 2)), {}, "treatment treated holds lists or the like"),
        (lambda f: f, {"clusters": "lot"}, "column not in the frame: lot"),
        (lambda f: f, {"clusters": "age"}, "covariates and clusters: age"),
        (lambda f: f.assign(lot=f.visits.where(f.index > 4)), {"clusters": "lot"}, "clusters lot: missing in 5"),
        (lambda f: f.assign(lot=1), {"clusters": "lot"}, "clusters lot: all 60 rows are of one"),
        (lambda f: f, {"seed": -1}, "seed is -1"),
        (lambda f: f, {"covariates": "age"}, "covariates is the text 'age', not a list"),
        (lambda f: f.rename(columns={"age": 3}), {"covariates": [3]}, "no name of a covariate: 3"),
    ],
)  # fmt: skip
def test_it_refuses(change: Callable[[pd.DataFrame], pd.DataFrame], asked: dict, words: str) -> None:
    with pytest.raises(CausalDataError, match=words) as refused:
        ask(change(table()), **asked)
    assert refused.value.next_step[0].isupper()


def test_rows_that_are_alike_by_chance_are_no_copies() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.integers(0, 2, (200, 4)), columns=list("tyab"))
    assert frame.duplicated().any()
    prepare(frame, treatment="t", outcome="y", covariates=["a", "b"])


def test_arms_with_names_are_compared_pairwise() -> None:
    frame = table()
    data = prepare(
        frame, treatment="arm", outcome="outcome", covariates=["age"], target="low", control="none"
    )
    compared = frame[frame.arm.isin(["low", "none"])]
    assert (data.arm, data.control) == ("low", "none")
    assert data.t.tolist() == (compared.arm == "low").tolist()
    assert data.index.tolist() == compared.index.tolist()


def test_covariates_become_numbers_without_gaps() -> None:
    frame = table().assign(same=1, age=lambda f: f.age.where(f.index > 3))
    data = prepare(frame, treatment="treated", outcome="outcome", covariates=["age", "plan", "same"])
    assert data.columns == ("age", "age missing", "plan=commercial", "plan=medicaid")
    assert data.left_out == ("same",)
    assert np.allclose(data.x.mean(axis=0), 0)
    assert np.allclose(data.x.std(axis=0), 1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 1] * 30, "binary"), ([0, 1, 2] * 20, "count"), ([0.5, -1.0, 2.0] * 20, "continuous"),
     ([True, False] * 30, "binary"), ([200, 300, 150] * 20, "continuous"),
     (pd.Series([True, False, None] * 20, dtype=object), "binary")],
)  # fmt: skip
def test_kinds_of_outcomes(values: list, kind: str) -> None:
    frame = table().assign(outcome=values)
    assert prepare(frame, treatment="treated", outcome="outcome", covariates=["age"]).outcome_kind == kind


def test_what_is_known_only_afterwards_is_not_adjusted_for() -> None:
    later = Feature(name="age", kind="numeric", source="journeys.age", available_at="outcome")
    for covariate, frame in (
        (later, table()),
        ("days_to_treatment", table().rename(columns={"age": "days_to_treatment"})),
    ):
        report = estimate_effect(frame, treatment="treated", outcome="outcome", covariates=[covariate])
        assert (report.status, report.reason) == ("not_identified", "known_afterwards")
        assert getattr(covariate, "name", covariate) in report.explanation
    assert known_afterwards(["age", Feature(name="plan", kind="categorical", source="a.plan")]) == ()


def test_too_few_of_an_arm_is_no_estimate() -> None:
    frame = table().assign(treated=[1] * 19 + [0] * 41)
    report = estimate_effect(frame, treatment="treated", outcome="outcome", covariates=["age"])
    assert (report.status, report.reason) == ("not_identified", "too_few")
    assert "fewer than 20 rows with a known outcome have 1" in report.explanation
    assert report.effect is report.ratio is report.att is report.naive is report.sensitivity is None


def test_patients_of_one_district_are_no_copies() -> None:
    """They share what is known of their district, and some by chance treatment and outcome as well."""
    rng = np.random.default_rng(4)
    district = np.repeat(rng.normal(size=100), 2)
    frame = pd.DataFrame({"t": rng.integers(0, 2, 200), "y": rng.integers(0, 2, 200), "income": district})
    assert frame.duplicated().any()
    prepare(frame, treatment="t", outcome="y", covariates=["income"])
    twice = pd.concat([frame.drop_duplicates("income")] * 2, ignore_index=True)
    with pytest.raises(CausalDataError, match="duplicated rows: 200 of 200"):
        prepare(twice, treatment="t", outcome="y", covariates=["income"])


def test_a_category_of_which_nothing_would_be_left_is_refused() -> None:
    rows = 1000
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"treated": rng.integers(0, 2, rows), "outcome": rng.normal(size=rows)})
    frame["district"] = [f"D{number % 125}" for number in range(rows)]
    with pytest.raises(CausalDataError, match="district is text with 125 values, of which 100% of the rows"):
        prepare(frame, treatment="treated", outcome="outcome", covariates=["district"])
    frame["district"] = np.where(rng.random(rows) < 0.6, "D0", frame.district)
    assert (
        "district=D0"
        in prepare(frame, treatment="treated", outcome="outcome", covariates=["district"]).columns
    )


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_covariates_of_any_size_are_standardised(unit: float) -> None:
    frame = table().assign(age=lambda f: f.age * unit)
    x = prepare(frame, treatment="treated", outcome="outcome", covariates=["age"]).x
    assert x.std() == pytest.approx(1)


def test_rows_and_columns_have_an_order_of_their_own() -> None:
    frame = table()
    asked = {"treatment": "treated", "outcome": "outcome"}
    data, rows = prepare(frame, covariates=["age", "visits"], **asked).sorted()  # type: ignore[arg-type]
    other, _ = prepare(frame.sample(frac=1, random_state=1), covariates=["visits", "age"], **asked).sorted()  # type: ignore[arg-type]
    assert data.columns == other.columns == ("age", "visits")
    assert list(data.index) == list(other.index) == list(frame.index[rows])
    np.testing.assert_allclose(data.x, other.x, rtol=0, atol=1e-12)


def test_a_treatment_that_is_known_only_with_the_outcomes_tells_nothing() -> None:
    frame = table().rename(columns={"treated": "treatment_initiated"})
    for more in ({}, {"instruments": ["visits"]}):
        report = estimate_effect(
            frame, treatment="treatment_initiated", outcome="outcome", covariates=["age"], **more
        )  # type: ignore[arg-type]
        assert (report.status, report.reason) == ("not_identified", "known_afterwards")
        assert "nobody can tell whether it came before outcome" in report.explanation


def test_too_few_clusters_are_no_estimate_however_many_rows_they_have() -> None:
    frame = table().assign(treated=lambda f: f.index % 2, lot=lambda f: f.index % 16)
    report = estimate_effect(
        frame, treatment="treated", outcome="outcome", covariates=["age"], clusters="lot"
    )
    assert (report.status, report.reason) == ("not_identified", "too_few")
    assert "Too few clusters of an arm: fewer than 10 have a known outcome" in report.explanation


def test_instruments_of_any_size_are_told_apart() -> None:
    frame = table().assign(lot=lambda f: f.age * 1e-200)
    report = estimate_effect(
        frame, treatment="treated", outcome="outcome", covariates=[], instruments=["lot", "visits"]
    )
    assert report.reason == "weak_instruments"
