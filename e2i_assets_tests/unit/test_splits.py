from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2i_assets.modeling import SplitEnforcer
from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits import RATIOS, assign_splits

NOBODY = pd.DataFrame({"patient_id": pd.Series(dtype=object), "split": pd.Series(dtype=object)})


def patients(strata: list[int], start: int = 0) -> pd.DataFrame:
    ids = [f"p{i:06d}" for i in range(start, start + len(strata))]
    return pd.DataFrame({"patient_id": ids, "stratum": [f"s{s}" for s in strata]})


def shares(assigned: pd.DataFrame) -> pd.Series:
    return assigned["split"].value_counts(normalize=True).reindex(list(RATIOS), fill_value=0)


@st.composite
def cohorts(draw: st.DrawFn) -> list[int]:
    """200 to 700 patients in 1 to 60 strata of very different sizes."""
    size = draw(st.integers(200, 700))
    weights = draw(st.lists(st.floats(0.01, 1), min_size=1, max_size=60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.choice(len(weights), size, p=np.array(weights) / sum(weights)).tolist()


@settings(max_examples=60, deadline=None)
@given(cohorts(), st.integers(0, 2**31))
def test_the_ratios_hold_overall_and_in_every_stratum(strata: list[int], seed: int) -> None:
    table = patients(strata)
    assigned = assign_splits(table, NOBODY, seed=seed)

    assert assigned["patient_id"].tolist() == table["patient_id"].tolist()
    assert np.abs(shares(assigned) - pd.Series(RATIOS)).max() <= 0.02
    counts = pd.crosstab(table["stratum"], assigned["split"]).reindex(columns=list(RATIOS), fill_value=0)
    ideal = np.outer(counts.sum(axis=1), list(RATIOS.values()))
    assert np.abs(counts.to_numpy() - ideal).max() < 1 + 1e-6


@settings(max_examples=40, deadline=None)
@given(cohorts(), st.data())
def test_nobody_moves_when_the_cohort_grows_and_the_ratios_still_hold(strata: list[int], data: st.DataObject):
    table = patients(strata)
    known = NOBODY
    start = data.draw(st.integers(1, len(table)))
    for stop in (start, data.draw(st.integers(start, len(table))), len(table)):
        grown = assign_splits(table.iloc[:stop], known, seed=7)
        kept = grown.merge(known, on="patient_id", suffixes=("", "_before"))
        assert len(kept) == len(known)
        assert (kept["split"] == kept["split_before"]).all()
        known = grown
    assert not known["patient_id"].duplicated().any()
    assert np.abs(shares(known) - pd.Series(RATIOS)).max() <= 0.02


def test_patients_who_arrive_one_by_one_keep_the_ratios_in_every_stratum() -> None:
    table = patients(np.random.default_rng(1).integers(0, 3, 120).tolist())
    known = NOBODY
    for stop in range(1, len(table) + 1):
        known = assign_splits(table.iloc[:stop], known, seed=1)
    counts = pd.crosstab(table["stratum"], known["split"]).reindex(columns=list(RATIOS))
    ideal = np.outer(counts.sum(axis=1), list(RATIOS.values()))
    assert np.abs(counts.to_numpy() - ideal).max() < 2
    assert np.abs(counts.sum() - 120 * pd.Series(RATIOS)).max() < 2


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    table = patients([0, 1] * 150)
    known = assign_splits(table.iloc[:100], NOBODY, seed=3)
    plain = assign_splits(table, known, seed=3)
    shuffled = assign_splits(table.sample(frac=1, random_state=5), known.iloc[::-1], seed=3)
    pd.testing.assert_frame_equal(plain, shuffled)
    assert (
        assign_splits(table, NOBODY, seed=3)["split"] != assign_splits(table, NOBODY, seed=4)["split"]
    ).any()


def test_those_who_left_keep_their_assignment_and_come_back_to_it() -> None:
    table = patients([0] * 300)
    known = assign_splits(table, NOBODY, seed=3)
    without = assign_splits(table.iloc[100:], known, seed=9)
    assert len(without) == 200
    again = assign_splits(table, known, seed=11)
    pd.testing.assert_frame_equal(again, known)


def test_strata_that_only_holdout_left_are_made_good_by_those_who_arrive() -> None:
    """Half of the cohort leaves in the worst way; the arrivals bring the ratios back."""
    table = patients([0] * 400)
    known = assign_splits(table, NOBODY, seed=3)
    stays = known[known["split"].isin(["train", "test"])]["patient_id"]
    grown = pd.concat([table[table["patient_id"].isin(stays)], patients([0] * 400, start=1000)])
    assert np.abs(shares(assign_splits(grown, known, seed=3)) - pd.Series(RATIOS)).max() <= 0.02


@pytest.mark.parametrize(
    ("table", "known", "words"),
    [
        (patients([0] * 3).drop(columns="stratum"), NOBODY, "stratum is missing"),
        (patients([0] * 3).assign(stratum=[None, "a", "b"]), NOBODY, "patients.stratum: 1 nulls"),
        (pd.concat([patients([0] * 3)] * 2), NOBODY, "3 repeated"),
        (patients([0]), NOBODY.drop(columns="split"), "existing: column split"),
        (patients([0]), pd.DataFrame({"patient_id": ["p000000"], "split": ["dev"]}), "'dev'"),
    ],
)
def test_what_cannot_be_assigned_is_refused(table: pd.DataFrame, known: pd.DataFrame, words: str) -> None:
    with pytest.raises(SplitError, match=words):
        assign_splits(table, known, seed=1)


def frames(sizes: tuple[int, int, int, int] = (120, 40, 30, 10)) -> dict[str, pd.DataFrame]:
    ids = iter(range(10_000))
    names = ("train_df", "val_df", "test_df", "holdout_df")
    return {
        name: pd.DataFrame({"patient_id": [f"p{next(ids)}" for _ in range(size)]})
        for name, size in zip(names, sizes, strict=True)
    }


def test_good_splits_are_valid_and_counted_by_patient() -> None:
    good = frames()
    good["train_df"] = pd.concat([good["train_df"]] * 2)  # two journeys each: still 120 patients
    verdict = SplitEnforcer().validate_splits(**good)
    assert verdict.is_valid
    assert verdict.violations == ()
    assert verdict.to_dict()["counts"] == {"train": 120, "validation": 40, "test": 30, "holdout": 10}
    assert verdict.ratios["holdout"] == pytest.approx(0.05)


@pytest.mark.parametrize(("train", "valid"), [(124, True), (126, False)])
def test_the_tolerance_is_two_percent(train: int, valid: bool) -> None:
    verdict = SplitEnforcer().validate_splits(**frames((train, 160 - train, 30, 10)))
    assert verdict.is_valid is valid


def bad_splits() -> dict[str, tuple[dict[str, pd.DataFrame], str]]:
    overlap, unnamed, nulls = frames(), frames(), frames()
    overlap["test_df"].loc[:2, "patient_id"] = overlap["train_df"]["patient_id"].iloc[:3].to_numpy()
    unnamed["val_df"] = unnamed["val_df"].rename(columns={"patient_id": "id"})
    nulls["val_df"].loc[:1, "patient_id"] = None
    return {
        "overlap": (overlap, "3 patients are in both train and test"),
        "no id column": (unnamed, "validation: column patient_id is missing"),
        "null ids": (nulls, "validation: 2 rows without patient_id"),
        "empty holdout": (frames((120, 40, 30, 0)), "holdout: 0 patients"),
        "nobody at all": (frames((0, 0, 0, 0)), "train: 0 patients"),
        "too small": (frames((24, 8, 6, 2)), "validation: 8 patients, at least 10"),
        "ratios": (frames((100, 60, 30, 10)), "train: 50.0% of the patients, 60% ± 2%"),
    }


@pytest.mark.parametrize("case", bad_splits())
def test_bad_splits_are_refused_with_the_reason(case: str) -> None:
    splits, words = bad_splits()[case]
    verdict = SplitEnforcer().validate_splits(**splits)
    assert not verdict.is_valid
    assert any(words in line for line in verdict.violations), verdict.violations


def test_another_id_column_can_be_named() -> None:
    renamed = {name: frame.rename(columns={"patient_id": "subject"}) for name, frame in frames().items()}
    assert SplitEnforcer().validate_splits(**renamed, id_column="subject").is_valid
    assert not SplitEnforcer().validate_splits(**renamed).is_valid
