"""The sheet says what ran and what did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from e2i_assets.leakage import Finding, LeakageReport
from e2i_assets.leakage.info_sheet import NOT_COVERED, Evidence, largest_shift, leakage_sheet
from e2i_assets.leakage.render import html

EXAMINED = {"availability": 9, "temporal": 0, "target": 9, "contamination": 6}
ALL = Evidence(
    gates={"split_ratios": True, "stable_splits": True, "no_leakage": True, "fitted_on_train": True},
    audit=LeakageReport("started", 600, (), EXAMINED),
    test_rows=150,
    features=("age", "region"),
    declared=("age", "region", "severity"),
    largest_shift=("age", 0.08),
    after_train=0.1,
)
TYPES = ["L1.1", "L1.2", "L1.3", "L1.4", "L2", "L3.1", "L3.2", "L3.3"]


def sheet(evidence):
    rows = leakage_sheet(evidence)
    assert [row.type for row in rows] == TYPES
    assert all(row.covered_by and row.result for row in rows)
    return {row.type: row for row in rows}


def uncovered(evidence):
    return {kind for kind, row in sheet(evidence).items() if row.covered_by == NOT_COVERED}


def test_all_eight_types_are_covered_by_what_ran():
    rows = sheet(ALL)
    assert uncovered(ALL) == set()
    assert "opened once for this model" in rows["L1.1"].result
    assert "150" not in rows["L1.1"].result  # a count of patients, exact where others are rounded
    assert "2 features are among the 3" in rows["L1.3"].result
    assert "fitted_on_train passed" in rows["L1.3"].result
    assert rows["L1.2"].result == "fitted_on_train passed"
    assert "0 findings" in rows["L2"].result
    assert "features judged by contract 9" in rows["L2"].result
    assert "age" in rows["L3.3"].result


@pytest.mark.parametrize(
    ("lost", "kinds"),
    [
        ({"gates": {}}, set(TYPES) - {"L3.3"}),
        ({"gates": {"split_ratios": True, "no_leakage": True}}, {"L1.2", "L1.3"}),
        ({"audit": None}, {"L1.4", "L2", "L3.1"}),
        ({"audit": replace(ALL.audit, examined=dict.fromkeys(EXAMINED, 0))}, {"L1.4", "L2", "L3.1"}),
        ({"test_rows": 0}, {"L1.1"}),
        ({"features": ("age", "chosen")}, {"L1.3"}),
        ({"features": ()}, {"L1.3"}),
        ({"largest_shift": None}, {"L3.3"}),
    ],
)
def test_what_did_not_run_covers_nothing(lost, kinds):
    assert uncovered(replace(ALL, **lost)) == kinds


def test_features_that_nobody_declared_are_counted():
    """Those of the model: others of the audit are no part of it."""
    assert sheet(ALL)["L2"].result.endswith("not declared 0 of 2 features")
    audited = replace(ALL.audit, undeclared=("severity", "region"))
    row = sheet(replace(ALL, audit=audited))["L2"]
    assert row.result.endswith("not declared 1 of 2 features (region)")
    text = "Not declared: 2 features, judged by figures and name; nobody has said when these are known"
    assert text in audited.to_markdown()
    assert text in html({"started": audited})


def test_what_is_left_open_is_said():
    rows = sheet(ALL)
    assert "10% of test rows after the last index date of train" in rows["L3.1"].result
    assert "later patients: not covered" in rows["L3.1"].result
    assert "later patients" not in sheet(replace(ALL, after_train=1.0))["L3.1"].result
    assert (
        "order of time between train and test: not covered"
        in sheet(replace(ALL, after_train=None))["L3.1"].result
    )
    assert "one HCP in several splits: not covered" in rows["L3.2"].result
    assert "unbalanced" in sheet(replace(ALL, largest_shift=("age", 0.4)))["L3.3"].result


def test_a_finding_and_a_failed_gate_are_shown():
    result = replace(ALL.audit, findings=(Finding("target", "time", 0.9, 0.1, "named as a time"),))
    rows = sheet(replace(ALL, audit=result, gates={**ALL.gates, "fitted_on_train": False}))
    assert rows["L2"].result.startswith("1 findings")
    assert rows["L1.2"].result == "fitted_on_train failed"
    assert rows["L1.4"].result.startswith("0 findings")


def test_the_largest_shift():
    train = pd.DataFrame({"age": [40.0, 50, 60, 70], "region": list("aabb"), "none": np.nan, "one": 1.0})
    test = pd.DataFrame({"age": [41.0, 50, 60, 70], "region": list("abbb"), "none": 1.0, "one": 1.0})
    assert largest_shift(train, test, ["age", "region", "none", "one"]) == ("region", pytest.approx(0.5))
    assert largest_shift(train, test, ["none"]) is None
    assert largest_shift(train, train, ["age"]) == ("age", 0.0)
    assert largest_shift(train, test.assign(one=2.0), ["one"]) == ("one", np.inf)
