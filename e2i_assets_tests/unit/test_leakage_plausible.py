"""What is too good to be true: a question that the contract has to answer, alone, in pairs and all together."""

import numpy as np
import pandas as pd
import pytest

from e2i_assets.leakage import Plausible, audit_leakage
from e2i_assets_tests.leakage_cases import CASES
from e2i_assets_tests.unit.leakage_frames import N, audit, frame, known, rng

DECLARED = dict.fromkeys(("severity", "age", "region", "smoker", "ige"), known())
OPEN = known("feature", None)


@pytest.fixture(scope="module")
def clean():
    return frame()


def almost(y, share):
    return np.where(rng().random(len(y)) < share, y, 1 - y)


def xor(table, levels=2):
    """Two columns of which only both together tell the outcome."""
    a = rng().integers(0, levels, len(table))
    return {"a": a, "b": np.where(table["started"] == 1, (a + 1) % levels, a)}


def halves(table):
    """Two numbers whose signs differ where the outcome is there."""
    a, b = rng().normal(size=(2, len(table)))
    return {"a": a, "b": np.abs(b) * np.sign(a) * (1 - 2 * table["started"])}


def exclusive_or_of_three(table):
    """Three columns of which only all together tell the outcome, and few rows to learn that from."""
    a, b = rng().integers(0, 2, (2, len(table)))
    return {"a": a, "b": b, "c": a ^ b ^ almost(table["started"], 0.95)}


@pytest.mark.parametrize("rows", [360, N])
def test_what_three_columns_tell_together_is_a_question(clean, rows):
    table = clean.assign(**exclusive_or_of_three(clean)).head(rows)
    report = audit(table, contract=DECLARED | dict.fromkeys("abc", OPEN))
    assert {(f.kind, f.column) for f in report.findings} == {("plausibility", name) for name in "abc"}
    audited = audit(table, contract=DECLARED | dict.fromkeys("abc", known()))
    assert audited.ok
    noise = table.assign(c=np.random.default_rng(11).integers(0, 2, rows))
    assert audit(noise, contract=DECLARED | dict.fromkeys("abc", OPEN)).ok


def parts(table):
    """Three numbers, none of them strong, whose sum is."""
    noise = rng().normal(size=(2, len(table)))
    return {"a": noise[0], "b": noise[1], "c": 1.3 * (table["started"] - 0.5) - noise.sum(axis=0)}


IMPLAUSIBLE = {
    "nine in ten": lambda t: {"a": almost(t["started"], 0.9)},
    "nine in ten, as text": lambda t: {"a": np.where(almost(t["started"], 0.9) == 1, "yes", "no")},
    "a shift of 1.5 deviations": lambda t: {"a": rng().normal(size=len(t)) + 1.5 * t["started"]},
    "a lower level of 1.5 deviations": lambda t: {"a": rng().normal(size=len(t)) - 1.5 * t["started"]},
    "missing for most with the outcome": lambda t: {
        "a": np.where(almost(t["started"], 0.9) == 1, np.nan, 1.5)
    },
    "exclusive or": xor,
    "exclusive or, as text": lambda t: {k: pd.Series(v).map({0: "no", 1: "yes"}) for k, v in xor(t).items()},
    "exclusive or, of three levels": lambda t: xor(t, 3),
    "signs that differ": halves,
    "exclusive or, with noise": lambda t: xor(t.assign(started=almost(t["started"], 0.93))),
    "a sum of three": parts,
}


@pytest.mark.parametrize("case", IMPLAUSIBLE)
def test_it_is_a_question_until_each_column_is_declared(clean, case):
    added = IMPLAUSIBLE[case](clean)
    table = clean.assign(**added)
    asked = audit(table, contract=DECLARED | dict.fromkeys(added, OPEN))
    assert {(f.kind, f.column) for f in asked.findings} == {("plausibility", name) for name in added}
    assert all(f.statistic > f.threshold and "available_at" in f.evidence for f in asked.findings)
    assert asked.undeclared == tuple(added)
    left_out = audit(table, contract=DECLARED)
    assert left_out.findings == asked.findings
    assert audit(table, contract=DECLARED | dict.fromkeys(added, known())).findings == ()


def test_a_role_alone_does_not_say_when_a_value_is_known(clean):
    table = clean.assign(a=almost(clean["started"], 0.9))
    for entry in ({"role": "feature"}, "feature", "treatment", known("treatment", None)):
        assert [f.column for f in audit(table, contract=DECLARED | {"a": entry}).findings] == ["a"]
    assert audit(table, contract=DECLARED | {"a": {"role": "treatment", "available_at": "index"}}).ok


def test_a_name_is_held_against_what_is_not_declared():
    """A survival time, which tells too little to be seen by its figures."""
    n = 800
    event = (rng().random(n) < 0.4).astype(int)
    table = pd.DataFrame({"cens": event, "time": rng().gamma(3 - event, size=n), "age": rng().normal(size=n)})
    open_, answer = ({"time": entry, "age": known()} for entry in (OPEN, known()))
    assert [(f.kind, f.column) for f in audit_leakage(table, "cens", contract=open_).findings] == [
        ("target", "time")
    ]
    assert audit_leakage(table, "cens", contract=answer).ok


def test_a_repeat_is_told_by_its_baseline_though_that_one_is_declared():
    case = next(c for c in CASES if c.name == "ACTG 175, event")
    table = case.load().drop(columns=["days", "offtrt"])
    contract = {name: known() for name in table if name not in case.afterwards}
    findings = {f.column for f in audit_leakage(table, "cens", contract=contract).findings}
    assert findings == {"cd420", "cd496", "cd820", "r"}


def test_honest_columns_that_nobody_declared_are_no_question(clean):
    table = clean.drop(columns="severity").assign(mild=clean["severity"] + rng().normal(0, 1.5, N))
    report = audit(table, contract=dict.fromkeys(("mild", "age", "region", "smoker", "ige"), OPEN))
    assert report.ok
    assert set(report.undeclared) == {"mild", "age", "region", "smoker", "ige"}
    assert report.examined["availability"] == 0


def test_without_a_contract_a_joint_figure_is_said_and_a_determining_pair_is_found(clean):
    report = audit(clean.assign(**parts(clean)))
    assert report.ok
    (limit,) = report.limits
    assert "all features together" in limit
    assert "contract" in limit
    assert {f.column for f in audit(clean.assign(**xor(clean))).findings} == {"a", "b"}
    assert {f.column for f in audit(clean.assign(**xor(clean)), contract=["other"]).findings} == {"a", "b"}


def test_the_scope_says_what_is_plausible(clean):
    table = clean.assign(**parts(clean))
    contract = DECLARED | dict.fromkeys("abc", OPEN)
    assert audit(table, contract=contract, plausible=Plausible(max_auc=1.0)).ok
    strict = audit(
        clean, contract=DECLARED | {"ige": OPEN, "severity": OPEN}, plausible=Plausible(max_auc=0.7)
    )
    assert {f.column: f.threshold for f in strict.findings} == {"severity": 0.7}


@pytest.mark.parametrize("noise", [0.25, 0.9])
def test_a_number_is_explained_too_well(clean, noise):
    cost = clean["severity"] + rng().normal(0, 1.5, N)
    table = clean.assign(started=cost, spent=cost + noise * np.random.default_rng(5).normal(size=N))
    findings = audit(table, contract=DECLARED | {"spent": OPEN}).findings
    assert {f.column for f in findings} == {"spent"}
    assert {f.kind for f in findings} == ({"target"} if noise < 0.5 else {"plausibility"})


def test_two_numbers_that_say_the_same_are_no_pair(clean):
    cost = clean["severity"] + np.random.default_rng(5).normal(0, 0.8, N)
    alike = {
        name: clean["severity"] + np.random.default_rng(i).normal(0, 0.05, N) for i, name in enumerate("ab")
    }
    table = clean.drop(columns="severity").assign(started=cost, **alike)
    assert audit(table, contract=DECLARED | dict.fromkeys("ab", OPEN)).ok


def test_one_class_of_several(clean):
    grade = pd.cut(clean["severity"], [-9, -0.5, 0.5, 9], labels=["none", "partial", "full"]).astype(str)
    table = clean.drop(columns="severity").assign(
        started=grade, a=almost((grade == "none").astype(int), 0.92)
    )
    findings = audit(table, contract=DECLARED | {"a": OPEN}).findings
    assert {(f.kind, f.column) for f in findings} == {("plausibility", "a")}
