"""Leakage: patients, rows and near copies in more than one split."""

import numpy as np
import pandas as pd
import pytest

from e2i_assets.json_files import from_json, to_json
from e2i_assets.leakage import LeakageReport, audit_leakage
from e2i_assets.leakage.linkage import nearest
from e2i_assets.leakage.pair_test import excess
from e2i_assets_tests.unit.leakage_frames import N, audit, frame, leaks, rng, splits


@pytest.fixture(scope="module")
def clean():
    return frame()


def test_clean_splits(clean):
    train, others = splits(clean)
    report = audit(train, other_splits=others)
    assert report.ok
    assert report.examined["contamination"] == 3


def test_a_patient_in_two_splits_is_found_between_any_two(clean):
    train, others = splits(clean)
    others["test"].loc[:3, "patient_id"] = others["validation"].loc[:3, "patient_id"]
    (finding,) = audit(train, other_splits=others).findings
    assert (finding.kind, finding.column, finding.statistic) == ("contamination", "validation and test", 4)


def test_ids_are_compared_as_text(clean):
    table = clean.assign(patient_id=range(N))
    train, others = splits(table)
    others["test"]["patient_id"] = others["test"]["patient_id"].astype(float)
    others["test"].loc[0, "patient_id"] = 5.0
    others["validation"]["patient_id"] = others["validation"]["patient_id"].astype(str)
    others["validation"].loc[:1, "patient_id"] = ["7", "8.0"]
    assert leaks(train, other_splits=others) == {
        ("contamination", "train and test"),
        ("contamination", "train and validation"),
    }


def test_the_same_row_under_another_id_is_found(clean):
    train, others = splits(clean)
    columns = [c for c in train if c != "patient_id"]
    others["test"].loc[:2, columns] = train.loc[:2, columns].to_numpy()
    others["test"] = others["test"].astype(train.dtypes.to_dict())
    (finding,) = audit(train, other_splits=others).findings
    assert (finding.column, finding.statistic) == ("train and test", 3)
    without_ids = audit(train.drop(columns="patient_id"), id_column=None, other_splits={
        "test": others["test"].drop(columns="patient_id")})  # fmt: skip
    assert [f.statistic for f in without_ids.findings] == [3]


def test_rows_of_a_few_yes_no_columns_coincide_without_being_copies(clean):
    train, others = splits(clean[["patient_id", "index_date", "region", "smoker", "started"]].assign(
        index_date=pd.Timestamp("2023-01-01")))  # fmt: skip
    assert leaks(train, other_splits=others) == set()


def wide(n=900, seed=5):
    """A table of which every row is unmistakable, without ids."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(draw.normal(size=(n, 8)), columns=[f"lab_{c}" for c in "abcdefgh"])
    return table.assign(
        age=draw.integers(18, 90, n),
        region=draw.choice(["North", "South"], n),
        started=draw.integers(0, 2, n),
    )


def halves(table):
    return table.iloc[:600].reset_index(drop=True), table.iloc[600:].reset_index(drop=True)


@pytest.mark.parametrize(
    "alter",
    [
        lambda rows: rows.assign(lab_a=rows["lab_a"].round(3), lab_b=rows["lab_b"].round(3)),
        lambda rows: rows.assign(lab_a=0.0, region="North"),
        lambda rows: rows.assign(
            **{c: rows[c] + rng().normal(0, 0.002, len(rows)) for c in rows if "lab" in c}
        ),
        lambda rows: rows.assign(started=1 - rows["started"]),
        lambda rows: rows.assign(lab_a=np.nan),
    ],
    ids=["rounded", "one column new", "jittered", "other outcome", "one value lost"],
)
def test_a_row_that_is_nearly_another_split_s_is_found(alter):
    train, test = halves(wide())
    copies = alter(train.iloc[100:112])
    test = pd.concat([test.iloc[12:], copies]).sample(frac=1, random_state=1)
    (finding,) = audit_leakage(train, "started", other_splits={"test": test}).findings
    assert (finding.kind, finding.column) == ("contamination", "train and test")
    assert 10 <= finding.statistic <= 12
    assert "nearly" in finding.evidence


@pytest.mark.parametrize(
    "alter",
    [
        lambda rows: rows.assign(region=" " + rows["region"].str.upper(), lab_c=rows["lab_c"].astype(str)),
        lambda rows: rows.astype({"lab_a": "float32", "lab_b": "float32"}),
    ],
    ids=["spelling", "precision"],
)
def test_the_same_row_written_otherwise_is_the_same_row(alter):
    train, test = halves(wide())
    table = pd.concat([test, alter(train.iloc[100:112])])
    (finding,) = audit_leakage(train, "started", other_splits={"test": table}).findings
    assert finding.statistic == 12
    assert "value for value" in finding.evidence


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_only_alike_are_no_copies(seed):
    train, test = halves(wide(seed=seed))
    assert audit_leakage(train, "started", other_splits={"test": test}).ok
    correlated = [t.assign(**{c: t["lab_a"] + 0.05 * t[c] for c in t if "lab" in c}) for t in (train, test)]
    assert audit_leakage(correlated[0], "started", other_splits={"test": correlated[1]}).ok


def test_where_rows_are_alike_by_nature_likeness_is_no_copy():
    """Legislators of one district share everything but their own answer."""
    table = wide().loc[lambda t: t.index.repeat(3)].sample(frac=1, random_state=3).reset_index(drop=True)
    table["started"] = rng().integers(0, 2, len(table))
    table["income"] = rng().normal(size=len(table))
    train, test = table.iloc[:1800], table.iloc[1800:]
    assert audit_leakage(train, "started", other_splits={"test": test}).ok


def test_the_same_hcp_patient_pair_and_the_same_patient_of_another_journey():
    table = wide().assign(journey_id=[f"j{i}" for i in range(900)], hcp_id=[f"h{i % 41}" for i in range(900)])
    table["patient_id"] = range(900)
    train, test = halves(table)
    assert audit_leakage(train, "started", id_column="journey_id", other_splits={"test": test}).ok
    test.loc[:3, ["patient_id", "hcp_id"]] = train.loc[:3, ["patient_id", "hcp_id"]].to_numpy()
    test.loc[4, "patient_id"] = train.loc[4, "patient_id"]
    findings = audit_leakage(train, "started", id_column="journey_id", other_splits={"test": test}).findings
    assert {(f.statistic, f.evidence.split(" that")[0]) for f in findings} == {
        (5, "values of patient_id"),
        (4, "pairs of hcp_id and patient_id (HCP and patient)"),
    }


def coarse(n=900, seed=6):
    """A table of which two rows may be equal by chance, and hardly ever are."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame({c: draw.integers(0, 12, n) for c in ("ecog", "nodes", "visits", "drugs", "grade")})
    return table.assign(started=draw.integers(0, 2, n))


def test_more_equal_rows_between_coarse_splits_than_within_one_are_copies():
    table = coarse().drop_duplicates().reset_index(drop=True)
    train, test = halves(table)
    assert audit_leakage(train, "started", other_splits={"test": test}).ok
    copied = pd.concat([test, train.iloc[:12]]).sample(frac=1, random_state=1)
    (finding,) = audit_leakage(train, "started", other_splits={"test": copied}).findings
    assert (finding.kind, finding.statistic) == ("contamination", 12)


@pytest.mark.parametrize("seed", range(8))
def test_equal_rows_by_chance_are_no_copies(seed):
    train, test = halves(coarse(seed=seed))
    assert audit_leakage(train, "started", other_splits={"test": test}).ok


def crowded(n=900, seed=8):
    """Twelve columns of few values: every row has others that are much like it."""
    draw = np.random.default_rng(seed)
    health = draw.normal(size=n)
    levels = {f"item_{i}": np.clip(np.round(health + draw.normal(0, 1.5, n)), -2, 2) for i in range(12)}
    return pd.DataFrame(levels).assign(age=draw.integers(40, 80, n), started=draw.integers(0, 2, n))


def one_value_changed(rows, table):
    rows = rows.copy()
    for place, column in enumerate(rng().integers(0, rows.shape[1], len(rows))):
        rows.iat[place, column] = table.iloc[:, column].sample(random_state=place).iloc[0]
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_near_copies_are_found_where_rows_are_alike_by_nature(seed):
    train, test = halves(crowded(seed=seed))
    assert audit_leakage(train, "started", other_splits={"test": test}).ok
    copied = pd.concat([test, one_value_changed(train.iloc[:40], train)]).sample(frac=1, random_state=1)
    findings = audit_leakage(train, "started", other_splits={"test": copied}).findings
    (near,) = [f for f in findings if "nearly" in f.evidence]
    assert 15 <= near.statistic - near.threshold <= 45


def test_near_copies_are_found_between_the_two_splits_that_have_them():
    table = crowded()
    train, test, holdout = table.iloc[:500], table.iloc[500:700], table.iloc[700:]
    copied = pd.concat([holdout, one_value_changed(test.iloc[:40], test)], ignore_index=True)
    findings = audit_leakage(train, "started", other_splits={"test": test, "holdout": copied}).findings
    assert {f.column for f in findings} == {"test and holdout"}


def test_random_splits_of_a_crowded_table_raise_no_alarm():
    """Pairs of nearest rows do not depend on the split, so that many splits can be tried of one table."""
    table = crowded().loc[lambda t: t.index.repeat(2)]  # each with a twin, which any split may part
    table["age"] += rng().integers(0, 2, len(table))
    columns = [table[c].to_numpy(dtype=np.float32) for c in table]
    near = nearest(columns, [True] * len(columns), np.arange(len(table), dtype=np.uint64))
    split = (np.arange(len(table)) % 10 >= 7).astype(int)
    draw = np.random.default_rng(2)
    alarms = sum(excess(near, draw.permutation(split), 0, 1, 1).pairs > 0 for _ in range(300))
    assert len(near.lead) > 300
    assert alarms <= 3


def test_what_cannot_be_seen_is_told():
    draw = rng()
    levels = {"grade": (0, 3), "stage": (0, 4), "age": (50, 60), "started": (0, 2)}
    few = pd.DataFrame({name: draw.integers(*ends, 600) for name, ends in levels.items()})
    report = audit_leakage(few.iloc[:400], "started", other_splits={"test": few.iloc[400:]})
    assert report.ok
    (limit,) = report.limits
    assert limit.startswith("train and test: ")
    assert "would go unseen" in limit
    assert limit in report.to_markdown()
    assert from_json(LeakageReport, to_json(report)) == report
    train, test = halves(wide())
    clear = audit_leakage(train, "started", other_splits={"test": test})
    assert clear.limits == ()
    stored = to_json(clear)
    del stored["limits"]  # as earlier versions wrote it
    assert from_json(LeakageReport, stored) == clear
