"""Leakage: what tells the outcome is found, what only predicts it is not."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pandera.pandas as pa
import polars as pl
import pytest

from e2i_assets.json_files import from_json, to_json
from e2i_assets.leakage import LeakageError, LeakageReport, audit_leakage
from e2i_assets.leakage.univariate import auc
from e2i_assets_tests.unit.leakage_frames import N, audit, frame, known, leaks, rng, splits


@pytest.fixture(scope="module")
def clean():
    return frame()


def test_a_clean_table_raises_no_alarm(clean):
    report = audit(clean)
    assert report.findings == ()
    assert report.examined == {"availability": 0, "temporal": 0, "target": 5, "contamination": 0}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [60, 300, 3000])
def test_no_alarm_on_clean_tables_of_any_size(seed, n):
    assert leaks(frame(seed, n)) == set()


def test_a_strong_predictor_is_no_leak(clean):
    y = clean["started"].to_numpy()
    assert 0.88 < auc(clean["severity"].to_numpy(), y, np.ones(N)) < 0.95
    assert leaks(clean) == set()


@pytest.mark.parametrize("levels", [N, N // 2, N // 5])
def test_many_valued_ids_raise_no_alarm(clean, levels):
    ids = [f"id{i}" for i in rng().integers(0, levels, N)]
    numbers = rng().integers(0, levels, N)
    assert leaks(clean.assign(patient_journey_id=ids, account=numbers)) == set()


def test_what_is_constant_within_a_patient_is_not_learned_by_heart(clean):
    patients = rng().integers(0, N // 4, N)
    outcome = (rng().random(N // 4) < 0.4).astype(int)[patients]
    repeated = clean.assign(
        patient_id=[f"p{i}" for i in patients], card=[f"c{i}" for i in patients], started=outcome
    )
    assert ("target", "card") not in leaks(repeated)
    assert ("target", "card") in leaks(repeated, id_column=None)


def test_the_end_of_a_scale_is_no_leak_though_every_case_there_is_one(clean):
    """Of a graded finding (1 to 10) the last grades are pure; a value that breaks with its neighbours is a leak."""
    grade = np.clip(np.round(4 + 2.2 * clean["severity"]), 1, 10)
    graded = clean.assign(grade=grade.where(clean["started"] == 1, grade.clip(upper=6)))
    assert (graded["grade"] >= 8).sum() > 60
    assert graded.loc[graded["grade"] >= 8, "started"].eq(1).all()
    assert leaks(graded) == set()
    code = np.where((clean["started"] == 1) & (rng().random(N) < 0.4), 5, rng().integers(1, 10, N))
    assert leaks(clean.assign(code=np.where((clean["started"] == 0) & (code == 5), 6, code))) == {
        ("target", "code")
    }


def test_a_trait_of_one_class_of_several_is_no_leak(clean):
    """An island may have one species only, which lives on another as well."""
    species, draw = np.random.default_rng(7).choice(list("abc"), N), rng()
    island = np.where(species == "a", draw.choice(["x", "y"], N), draw.choice(["y", "z"], N))
    assert leaks(clean.assign(started=species, island=island)) == set()
    only_there = np.where(species == "a", "x", draw.choice(["y", "z"], N))
    assert leaks(clean.assign(started=species, island=only_there)) == {("target", "island")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda y: y + rng().normal(0, 0.05, N), "correlation"),
        (lambda y: -100.0 * y, "correlation"),
        (lambda y: y.astype(bool), "correlation"),
        (lambda y: np.where(y == 1, "yes", "no"), "cross-validated"),
        (lambda y: np.where(y == 1, rng().choice(list("abc"), N), rng().choice(list("def"), N)), "cross-validated"),
        (lambda y: np.where(y == 1, rng().uniform(1, 2, N), rng().choice([0.5, 2.5], N)), "cross-validated"),
        (lambda y: np.where(y == 1, rng().integers(1, 90, N).astype(float), np.nan), "is there"),
        (lambda y: np.where(y == 1, "2023-05-01", None), "is there"),
        (lambda y: [str(v) for v in y], "correlation"),
        (lambda y: np.where(rng().random(N) < 0.96, y, 1 - y), "all unsuspicious columns"),
        (lambda y: np.where((y == 1) & (rng().random(N) < 0.4), 1.0, np.nan), "any value at all"),
        (lambda y: np.where((y == 1) & (rng().random(N) < 0.3), "code 9", rng().choice(list("ab"), N)), "one of its"),
    ],
    ids=["noisy", "scaled", "boolean", "labels", "categories", "not monotone", "presence", "date present",
         "text numbers", "4 % wrong", "partial presence", "deciding level"],
)  # fmt: skip
def test_what_tells_the_outcome_is_found(clean, make, message):
    report = audit(
        clean.assign(leak=make(clean["started"].to_numpy())), event_times=None, id_column="patient_id"
    )
    (finding,) = [f for f in report.findings if f.kind == "target"]
    assert finding.column == "leak"
    assert message in finding.evidence
    assert finding.statistic >= finding.threshold > 0.9


@pytest.mark.parametrize("values", [["no", "yes"], [False, True], ["0", "1"], [10, 20]])
def test_the_target_may_be_of_any_type(clean, values):
    target = np.where(clean["started"] == 1, values[1], values[0])
    leaky = clean.assign(started=target, leak=clean["started"].map({0: "a", 1: "b"}))
    assert leaks(leaky) == {("target", "leak")}
    assert leaks(clean.assign(started=target)) == set()


def test_a_regression_target(clean):
    spend = clean["severity"] * 2 + rng().normal(size=N)
    table = clean.assign(started=spend)
    assert leaks(table) == set()
    assert leaks(table.assign(leak=spend**3)) == {("target", "leak")}


@pytest.mark.parametrize(
    "made",
    [
        lambda spend: (spend - spend.mean()).abs(),
        lambda spend: (spend - 3) ** 2,
        lambda spend: np.sin(2 * spend).where(spend > spend.median()),
        lambda spend: (spend - spend.mean()).abs() > 2,
    ],
)
def test_what_is_made_of_a_number_is_seen_although_it_does_not_tell_it_back(clean, made):
    spend = clean["severity"] * 2 + rng().normal(size=N)
    report = audit(clean.assign(started=spend, leak=made(spend)))
    ((column, statistic),) = [(f.column, f.statistic) for f in report.findings]
    assert column == "leak"
    assert statistic > 0.98


def test_what_goes_with_a_number_is_not_made_of_it(clean):
    draw = rng()
    spend = pd.Series(np.exp(draw.normal(size=N)))
    before = spend * np.exp(draw.normal(0, 0.3, N))  # its ranks correlate better than the amounts do
    few = pd.Series(np.sort(draw.integers(0, 4, N)))
    assert leaks(clean.assign(started=spend, before=before)) == set()
    # Rows of one value stand beside each other, and so do their numbers.
    numbered = pd.Series(np.tile(range(N // 4 + 1), 4)[:N])
    assert audit(clean.assign(started=few, card=numbered), regression=True).findings == ()


def test_a_scope_says_whether_a_few_numbers_are_classes(clean):
    score = pd.Series(rng().integers(0, 5, N)).astype(float)
    table = clean.assign(started=score, near=score + rng().normal(0, 0.3, N))
    evidence = {
        regression: [f.evidence for f in audit(table, regression=regression).findings]
        for regression in (None, False, True)
    }
    assert evidence[None] == evidence[False]
    assert evidence[False][0].startswith("cross-validated AUC of this column alone for one class")
    assert evidence[True] == ["absolute correlation with the target"]
    many = clean.assign(started=pd.Series(rng().integers(0, 15, N)).astype(float))
    assert audit(many, regression=False).ok


def test_several_classes(clean):
    classes = pd.cut(clean["severity"] + rng().normal(0, 0.8, N), 3, labels=["low", "mid", "high"]).astype(
        str
    )
    table = clean.assign(started=classes)
    assert leaks(table) == set()
    assert leaks(table.assign(leak=classes.str.upper())) == {("target", "leak")}


def test_the_contract_is_asked_whatever_the_data_say(clean):
    table = clean.assign(
        visits=rng().integers(0, 9, N), stage=rng().choice(["a", "b"], N), late=rng().random(N)
    )
    contract = {
        "visits": known("post_outcome"),
        "stage": known("outcome"),
        "late": known("feature", "outcome"),
        "age": known(),
        "started": known("outcome", "outcome"),
        **dict.fromkeys(("severity", "region"), known()),
    }
    report = audit(table, contract=contract)
    assert {(f.kind, f.column) for f in report.findings} == {
        ("temporal", "visits"), ("temporal", "stage"), ("temporal", "late"),
    }  # fmt: skip
    assert report.examined["availability"] == 6
    assert report.undeclared == ("smoker", "ige")


@pytest.mark.parametrize(
    ("spoil", "kwargs", "message"),
    [
        (lambda t: t.iloc[:0], {}, "empty"),
        (lambda t: t.drop(columns="started"), {}, "started"),
        (lambda t: t.assign(started=1), {}, "one class"),
        (lambda t: t.assign(started=np.nan), {}, "started"),
        (lambda t: t.iloc[:1], {}, "1 rows"),
        (lambda t: t.assign(started=(np.arange(N) < 3).astype(int)), {}, "fewer than 5"),
        (lambda t: t.assign(started=np.where(np.arange(N) < 3, np.inf, np.arange(N))), {}, "infinite"),
        (lambda t: t[["patient_id", "index_date", "started"]], {}, "no feature"),
        (lambda t: t.drop(columns="patient_id"), {}, "patient_id"),
        (lambda t: t.assign(patient_id=t["patient_id"].where(t.index != 3)), {}, "1 of 1200"),
        (lambda t: t.drop(columns="index_date"), {}, "index_date"),
        (lambda t: t.assign(index_date=t["index_date"].where(t.index != 3)), {}, "1 of 1200"),
        (lambda t: t.assign(index_date="soon"), {}, "1200 of 1200"),
        (lambda t: t.assign(index_date=5), {}, "1200 of 1200"),
        (lambda t: t.assign(index_date=pd.NaT), {}, "1200 of 1200"),
        (lambda t: t, {"other_splits": {"test": pd.DataFrame({"age": [1.0]})}}, "patient_id"),
        (lambda t: pd.concat([t, t[["age"]]], axis=1), {}, "same name"),
        (
            lambda t: t.assign(**dict.fromkeys(("severity", "age", "region", "smoker", "ige"))),
            {},
            "no feature has",
        ),
        (lambda t: t, {"other_splits": {"test": frame().iloc[:0]}}, "split test is empty"),
    ],
)
def test_what_cannot_be_audited_is_an_error_and_no_pass(clean, spoil, kwargs, message):
    with pytest.raises(LeakageError) as refused:
        audit(spoil(clean), **kwargs)
    assert message in str(refused.value)


def test_the_report_is_the_same_every_time_and_survives_json(clean):
    leaky = clean.assign(leak=clean["started"], seen=clean["index_date"] + pd.Timedelta(days=3))
    report = audit(leaky)
    assert audit(leaky.copy()) == report
    assert from_json(LeakageReport, json.loads(json.dumps(to_json(report)))) == report
    assert not report.ok
    assert "| target | leak |" in report.to_markdown()
    assert "no leakage found" in audit(clean).to_markdown()


def test_no_value_is_in_the_report(clean):
    leaky = clean.assign(leak=np.where(clean["started"] == 1, "Jane Doe", "John Doe"))
    assert "Doe" not in json.dumps(to_json(audit(leaky)))


def test_frames_are_left_alone(clean):
    before = clean.copy(deep=True)
    audit(clean)
    pd.testing.assert_frame_equal(clean, before)


def test_an_all_null_or_constant_feature_says_nothing(clean):
    assert leaks(clean.assign(nothing=np.nan, none=None, one=1.0, infinite=np.inf, text="x")) == set()


@pytest.mark.parametrize(
    "contract",
    [
        {"age": {"role": "post_outcome", "available_at": "outcome"}},
        {"age": {"available_at": "outcome"}},
        {"age": {"role": "outcome"}},
        {"age": known("post_outcome", "outcome")},
        {"age": "post_outcome"},
        {"age": "outcome"},
        ["age"],
        ("age", "no column of the table"),
        pa.DataFrameSchema({"age": pa.Column(metadata={"role": "post_outcome", "available_at": "outcome"})}),
    ],
)
def test_a_contract_in_any_form(clean, contract):
    assert leaks(clean.drop(columns="severity"), contract=contract) == {("temporal", "age")}


def test_a_table_contract_is_a_contract(clean):
    from e2i_assets.contracts.tables import TABLES

    journeys = TABLES["patient_journeys"]
    table = clean.assign(days_to_treatment=rng().integers(1, 90, N))
    assert ("temporal", "days_to_treatment") in leaks(table, contract=journeys)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"age": {}}, "contract of age: neither"),
        ({"age": "late"}, "contract of age: 'late' is no role and no column"),
        ({"age": None}, "contract of age"),
        (
            {"age": {"role": "post-outcome"}},
            "contract of age: role 'post-outcome' is none of id, time, feature",
        ),
        ({"age": known("leak")}, "contract of age: role 'leak'"),
        (pa.DataFrameSchema({"age": pa.Column()}), "no column of the schema has a role"),
        ("age", "a list of column names was expected"),
        (5, "the contract is a int"),
    ],
)
def test_a_contract_that_says_nothing_is_an_error(clean, contract, message):
    with pytest.raises(LeakageError, match=message) as refused:
        audit(clean, contract=contract)
    assert refused.value.code == "contract"


@pytest.mark.parametrize(
    "spoil", [lambda t: t.assign(started=1), lambda t: t.head(20), lambda t: t.assign(age=None)]
)
def test_what_the_contract_says_is_found_whatever_the_target_is(clean, spoil):
    """One class only: the target tells nothing of the features, the contract does."""
    report = audit(spoil(clean), contract={"age": "post_outcome", "severity": "index"})
    assert [(f.kind, f.column) for f in report.findings] == [("temporal", "age")]
    assert report.examined["availability"] == 2


def test_frames_of_other_libraries_and_names_that_are_no_text(clean):
    leaky = clean.assign(leak=clean["started"].map({0: "a", 1: "b"}))
    assert leaks(pl.from_pandas(leaky)) == {("target", "leak")}
    assert leaks(pl.from_pandas(leaky).to_arrow()) == {("target", "leak")}
    train, others = splits(clean)
    others["test"].loc[:3, "patient_id"] = others["validation"].loc[:3, "patient_id"]
    frames = {name: pl.from_pandas(frame) for name, frame in others.items()}
    assert leaks(pl.from_pandas(train), other_splits=frames) == {("contamination", "validation and test")}
    numbered = leaky[["severity", "leak", "started"]].set_axis([0, 1, "started"], axis="columns")
    assert {f.column for f in audit_leakage(numbered, "started").findings} == {"1"}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda t: t.iloc[:0], "empty_input"),
        (lambda t: t.drop(columns="started"), "missing_column"),
        (lambda t: t.iloc[:1], "too_few_rows"),
        (lambda t: t.assign(started=1), "one_class"),
        (lambda t: t.assign(started=np.nan), "too_few_rows"),
        (lambda t: t.assign(index_date=pd.NaT), "not_a_date"),
        (lambda t: t.assign(patient_id=None), "missing_value"),
        (lambda t: t[["patient_id", "index_date", "started"]], "nothing_to_judge"),
    ],
)
def test_an_audit_that_cannot_be_made_says_of_what_kind_and_what_to_do(clean, spoil, code):
    with pytest.raises(LeakageError) as refused:
        audit(spoil(clean))
    assert refused.value.code == code
    assert len(refused.value.next_step) > 10


def test_a_feature_without_values_is_named_as_not_judged(clean):
    report = audit(clean.assign(nothing=np.nan))
    assert report.unjudged == ("nothing",)
    assert report.examined["target"] == 5
    assert from_json(LeakageReport, json.loads(json.dumps(to_json(report)))) == report


@pytest.mark.parametrize("levels", [3, 6])
def test_an_id_or_a_category_of_a_regression_says_nothing(clean, levels):
    table = clean.assign(started=rng().normal(size=N), site=rng().integers(0, levels, N), card=range(N))
    assert leaks(table) == set()


def test_bytes_and_decimals_are_values_like_any_other(clean):
    seals = clean["started"].map({0: b"\xff\x00", 1: b"\xfe"})
    assert leaks(clean.assign(seal=seals)) == {("target", "seal")}
    cost = (50 + 10 * clean["severity"] + rng().normal(0, 9, N)).map(lambda c: Decimal(f"{c:.2f}"))
    table = clean.assign(started=cost)
    assert leaks(table) == set()
    assert leaks(table.assign(leak=[2 * c for c in cost])) == {("target", "leak")}
