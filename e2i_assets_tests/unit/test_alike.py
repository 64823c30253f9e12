"""Patients with equal rows: one split for each group of them, for ever, and the ratios still hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2i_assets.gates import splits as gates
from e2i_assets.gates.splits import SplitResult
from e2i_assets.gates.verdict import refusals
from e2i_assets.leakage import LeakageError, audit_leakage
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits.alike import Alike, alike_groups, row_keys, summary, tellable
from e2i_assets.modeling.splits.assignment import Divided, compare_assignments, divide
from e2i_assets.modeling.splits.policy import RATIOS

NOBODY = pd.DataFrame({"patient_id": pd.Series(dtype=object), "split": pd.Series(dtype=object)})
GATES = {g.name: g for g in (gates.SPLIT_RATIOS, gates.NO_LEAKAGE, gates.SPLIT_QUALITY)}
FEATURES = ["age", "dose", "lab", "arm"]


def rows(size: int = 400, repeats: int = 20, seed: int = 3) -> pd.DataFrame:
    """Patients of whom the last `repeats` have the row of one of the first."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.normal(60, 9, size).round(3),
            "dose": rng.normal(5, 1, size).round(3),
            "lab": rng.normal(1, 1, size).round(3),
            "arm": rng.choice(["a", "b"], size).astype(object),
            "started": rng.integers(0, 2, size).astype(float),
        }
    )
    table.loc[rng.random(size) < 0.1, "dose"] = np.nan
    if repeats:
        table.iloc[-repeats:] = table.iloc[rng.integers(0, size // 2, repeats)].to_numpy()
        table = table.astype({"age": float, "dose": float, "lab": float, "started": float})
    dates = pd.date_range("2024-01-01", periods=size, freq="D")
    return table.assign(patient_id=[f"p{i:04d}" for i in range(size)], index_date=dates)


def split(table: pd.DataFrame, existing: pd.DataFrame = NOBODY, **how: Any) -> Divided:
    keys = [row_keys(table, [*FEATURES, "started"])]
    wanted = {"targets": ["started"], "order": "random", "time_column": "index_date", "seed": 1, **how}
    return divide(table, existing, keys=keys, **wanted)


def parted(table: pd.DataFrame, divided: Divided) -> int:
    """Equal rows, nulls among them, that lie in several splits."""
    split_of = divided.assigned.set_index("patient_id")["split"]
    seen = table.assign(split=table["patient_id"].map(split_of))
    return int((seen.groupby([*FEATURES, "started"], dropna=False)["split"].nunique() > 1).sum())


@settings(max_examples=10, deadline=None)
@given(st.integers(150, 600), st.integers(0, 60), st.integers(0, 2**31))
def test_equal_rows_come_into_one_split_and_the_ratios_hold(size: int, repeats: int, seed: int) -> None:
    table = rows(size, repeats, seed)
    divided = split(table, seed=seed)
    assert parted(table, divided) == 0
    assert divided.validation.is_valid, divided.validation.violations
    again = split(table.sample(frac=1, random_state=seed), seed=seed)
    pd.testing.assert_frame_equal(divided.assigned, again.assigned)
    groups = table.groupby([*FEATURES, "started"], dropna=False).size()
    assert divided.alike.patients == groups[groups > 1].sum()
    assert divided.alike.groups == (groups > 1).sum()


def test_they_are_shared_out_as_the_others_are() -> None:
    table = rows(4000, 1200)
    result = split(table).assigned.dropna(subset="alike")["split"].value_counts(normalize=True)
    assert np.abs(result.reindex(list(RATIOS)) - pd.Series(RATIOS)).max() < 0.06


def test_who_is_alike_to_somebody_assigned_follows_and_nobody_moves() -> None:
    table = rows(400, 0)
    first = split(table.head(300))
    arriving = table.tail(100).copy()
    arriving[[*FEATURES, "started"]] = table[[*FEATURES, "started"]].head(100).to_numpy()
    arriving = arriving.astype(table.dtypes)
    grown = split(pd.concat([table.head(300), arriving]), first.assigned[["patient_id", "split"]])
    assert compare_assignments(first.assigned, grown.assigned).moved == 0
    split_of = grown.assigned.set_index("patient_id")["split"]
    assert split_of[table["patient_id"].head(100)].tolist() == split_of[arriving["patient_id"]].tolist()


def test_those_parted_earlier_are_reported_and_stay() -> None:
    table = rows(400, 0)
    table.loc[[1, 2, 3], [*FEATURES, "started"]] = table.loc[[0] * 3, [*FEATURES, "started"]].to_numpy()
    table = table.astype({"age": float, "dose": float, "lab": float, "started": float})
    known = pd.DataFrame({"patient_id": ["p0000", "p0001", "p0002"], "split": ["test", "train", "test"]})
    divided = split(table, known)
    split_of = divided.assigned.set_index("patient_id")["split"]
    assert split_of[["p0000", "p0001", "p0002", "p0003"]].tolist() == ["test", "train", "test", "test"]
    assert (divided.alike.parted, divided.alike.groups, divided.alike.patients) == (1, 1, 4)
    assert "parted by earlier assignments: 1 groups" in divided.alike.text()
    # Who is sealed is not told by the row of an open one.
    answer = divided.assigned.assign(alike=tellable(divided.assigned)).set_index("patient_id")["alike"]
    assert answer[["p0000", "p0001", "p0002", "p0003"]].notna().tolist() == [False, True, False, False]


def test_whoever_is_alike_for_one_outcome_is_together() -> None:
    """a and b are alike for one outcome, b and c for another, and two journeys of d for none."""
    patients = pd.Series(["a", "b", "c", "d", "d", "e"])
    groups = alike_groups(patients, [np.array([1, 1, 2, 3, 4, 5]), np.array([1, 2, 2, 3, 3, 4])])
    assert groups.to_dict() == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize(("policy", "apart"), [("same_split", False), ("refuse", False), ("allow", True)])
def test_the_cohort_file_decides(policy: Any, apart: bool) -> None:
    table = rows(1200, 8)
    divided = split(table, equal_rows=policy)
    assert (parted(table, divided) > 0) == apart
    assert divided.alike.policy == policy
    frames = {name: frame[[*FEATURES, "started"]] for name, frame in divided.frames.items()}
    report = audit_leakage(
        frames.pop("train"), "started", other_splits=frames, equal_rows=policy == "allow",
        contract={name: {"role": "feature", "available_at": "index"} for name in FEATURES},
    )  # fmt: skip
    assert not [f for f in report.findings if f.kind == "contamination"]
    assert any("which the cohort file allows" in limit for limit in report.limits) == apart
    made = SplitResult(divided.validation, {"started": report}, compare_assignments(NOBODY, divided.assigned))
    verdict = GATES["no_leakage"].verdict(SplitResult(**{**vars(made), "alike": divided.alike}))
    assert verdict.passed == (policy != "refuse")
    if policy == "refuse":
        assert verdict.reason == "equal_rows"
        assert str(divided.alike.patients) in verdict.message
        assert "same_split" in verdict.next_step


def test_in_order_of_time_no_cut_parts_them_or_the_clash_is_named() -> None:
    table = rows(400, 0)
    close = table.copy()
    for i in range(0, 60, 2):  # neighbours in time
        close.loc[i + 1, [*FEATURES, "started"]] = close.loc[i, [*FEATURES, "started"]].to_numpy()
    close = close.astype(table.dtypes)
    divided = split(close, order="temporal")
    assert divided.validation.is_valid
    assert parted(close, divided) == 0
    far = table.copy()
    far.loc[399, [*FEATURES, "started"]] = far.loc[0, [*FEATURES, "started"]].to_numpy()
    far = far.astype(table.dtypes)
    with pytest.raises(SplitError, match="patients with equal rows being in one split") as refused:
        split(far, order="temporal")
    assert refused.value.code == "order_against_alike"
    assert "equal_rows: allow" in refused.value.next_step
    assert split(far, order="temporal", equal_rows="allow").validation.is_valid


def test_groups_too_large_for_the_ratios_are_refused_with_their_own_advice() -> None:
    """A table of few values: hundreds of patients share a row."""
    rng = np.random.default_rng(2)
    coarse = rows(400, 0).assign(age=1.0, dose=1.0, lab=1.0, arm=rng.choice(["a", "b"], 400))
    divided = split(coarse)
    assert divided.alike.largest > 80
    made = SplitResult(
        divided.validation, {}, compare_assignments(NOBODY, divided.assigned), (), divided.alike
    )
    verdicts = {name: gate.verdict(made) for name, gate in GATES.items()}
    assert verdicts["split_ratios"].reason in ("ratios", "too_few_patients")
    assert "equal_rows: allow" in verdicts["split_ratios"].next_step
    for other in ("no_leakage", "split_quality"):
        assert verdicts[other].reason == "not_judged"
        assert "split_ratios" in verdicts[other].message
    assert split(coarse, equal_rows="allow").validation.is_valid


def test_nobody_alike_is_said() -> None:
    assigned = pd.DataFrame({"patient_id": ["a"], "split": ["train"], "alike": [None]})
    assert summary(assigned, "refuse") == Alike("refuse")
    assert "no two patients have equal rows" in Alike("same_split").text()


def one_class() -> tuple[SplitResult, None]:
    divided = split(rows(repeats=0).assign(started=1.0))
    return SplitResult(divided.validation, {}, compare_assignments(NOBODY, divided.assigned)), None


def three_positives() -> tuple[None, Exception]:
    table = rows(repeats=0).drop(columns="patient_id").assign(started=0.0)
    table.loc[[5, 6, 7], "started"] = 1.0
    with pytest.raises(LeakageError) as refused:
        audit_leakage(table, "started", event_times="index_date")
    return None, refused.value


def infeasible_order() -> tuple[None, Exception]:
    late = rows(repeats=0).assign(started=np.repeat([0.0, 1.0], 200))
    with pytest.raises(SplitError) as refused:
        split(late, order="temporal")
    return None, refused.value


def copied() -> tuple[SplitResult, None]:
    table = rows(repeats=0)
    divided = split(table)
    frames = {name: frame[[*FEATURES, "started"]] for name, frame in divided.frames.items()}
    frames["test"] = pd.concat([frames["test"], frames["train"].head(12)])
    report = audit_leakage(frames.pop("train"), "started", other_splits=frames)
    stability = compare_assignments(NOBODY, divided.assigned)
    return SplitResult(divided.validation, {"started": report}, stability), None


@pytest.mark.parametrize(
    ("happened", "gate", "reason", "advice"),
    [
        (one_class, "split_ratios", "one_class", "at least two different outcomes"),
        (three_positives, "no_leakage", "too_few_rows", "5 of them outside the largest class"),
        (infeasible_order, "split_ratios", "order_against_stratification", "split_order: random"),
        (copied, "no_leakage", "leakage", "remove copies at the source"),
    ],
)
def test_each_reason_has_its_own_advice_and_one_gate_tells_it(
    happened: Any, gate: str, reason: str, advice: str
) -> None:
    made, error = happened()
    if error:
        verdicts = refusals(list(GATES.values()), error)
    else:
        verdicts = {name: judge.verdict(made) for name, judge in GATES.items()}
    assert verdicts[gate].reason == reason
    assert advice in verdicts[gate].next_step
    for name, verdict in verdicts.items():
        if name != gate:
            assert verdict.passed or verdict.reason in ("not_judged", "nothing_evaluated")
            assert advice not in verdict.summary


def test_equal_is_equal_in_every_digit_and_whatever_the_spelling() -> None:
    table = pd.DataFrame(
        {
            "n": [1e9, 1e9 + 1, 1e9, 1e9, np.nan, np.nan, np.nan],
            "t": ["a", "a", " A", None, None, None, "a"],
        }
    )
    keys = row_keys(table, ["n", "t"])
    assert keys[0] == keys[2]
    assert keys[4] == keys[5]
    assert len(set(keys)) == 5
    assert len(set(row_keys(table, ["t", "n"]))) == 5
