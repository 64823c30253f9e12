from __future__ import annotations

import json

import pandas as pd
import polars as pl
import pytest

from e2i_assets.json_files import to_json
from e2i_assets.modeling import SplitEnforcer


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
    assert to_json(verdict)["counts"] == {"train": 120, "validation": 40, "test": 30, "holdout": 10}
    assert verdict.ratios["holdout"] == pytest.approx(0.05)
    assert json.loads(json.dumps(to_json(verdict))) == to_json(verdict)


def test_frames_go_in_by_name_and_in_order() -> None:
    """The guide shows both."""
    enforcer = SplitEnforcer()
    assert enforcer.validate_splits(**frames()) == enforcer.validate_splits(*frames().values())


def test_only_pandas_frames_are_judged() -> None:
    with pytest.raises(TypeError, match="test must be a pandas DataFrame, not <class 'polars"):
        SplitEnforcer().validate_splits(**{**frames(), "test_df": pl.DataFrame({"patient_id": ["p"]})})


@pytest.mark.parametrize(("train", "valid"), [(124, True), (126, False)])
def test_the_tolerance_is_two_percent(train: int, valid: bool) -> None:
    verdict = SplitEnforcer().validate_splits(**frames((train, 160 - train, 30, 10)))
    assert verdict.is_valid is valid


def bad_splits() -> dict[str, tuple[dict[str, pd.DataFrame], str]]:
    overlap, unnamed, nulls, typed, mixed = (frames() for _ in range(5))
    typed["val_df"]["patient_id"] = range(40)
    for frame in mixed.values():
        frame.loc[:0, "patient_id"] = 17
    overlap["test_df"].loc[:2, "patient_id"] = overlap["train_df"]["patient_id"].iloc[:3].to_numpy()
    unnamed["val_df"] = unnamed["val_df"].rename(columns={"patient_id": "id"})
    nulls["val_df"].loc[:1, "patient_id"] = None
    return {
        "a number and a text": (typed, "types: string in train, integer in validation"),
        "numbers among texts": (mixed, "types: mixed-integer in train"),
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


def outcomes(
    sizes: tuple[int, int, int, int], positives: tuple[int, int, int, int]
) -> dict[str, pd.DataFrame]:
    return {
        name: frame.assign(started=[1.0] * positive + [0.0] * (len(frame) - positive))
        for (name, frame), positive in zip(frames(sizes).items(), positives, strict=True)
    }


@pytest.mark.parametrize(
    ("positives", "valid"),
    [
        ((120, 40, 30, 10), True),
        ((117, 43, 30, 10), True),
        ((110, 50, 30, 10), False),
        ((135, 45, 20, 0), False),
    ],
)
def test_each_outcome_is_split_as_the_patients_are(positives: tuple[int, ...], valid: bool) -> None:
    """200 of 400 patients have the outcome: train may be off by 9.8 of them, validation by 8, holdout by 4.4."""
    verdict = SplitEnforcer().validate_splits(**outcomes((240, 80, 60, 20), positives), targets=["started"])
    assert verdict.is_valid is valid
    assert set(verdict.broken) == (set() if valid else {"stratification"})


def test_the_stratification_of_one_outcome_only_cannot_be_judged() -> None:
    verdict = SplitEnforcer().validate_splits(
        **outcomes((120, 40, 30, 10), (0, 0, 0, 0)), targets=["started"]
    )
    assert verdict.broken == ("one_class",)
    assert "every patient has the same started" in verdict.violations[0]


def test_an_outcome_that_is_not_there_is_a_violation() -> None:
    spoilt = outcomes((120, 40, 30, 10), (60, 20, 15, 5))
    spoilt["test_df"] = spoilt["test_df"].drop(columns="started")
    verdict = SplitEnforcer().validate_splits(**spoilt, targets=["started"])
    assert verdict.violations == ("test: column started is missing",)


def dated(*starts: str, zone: str | None = None) -> dict[str, pd.DataFrame]:
    """Splits whose index dates start on these days and go on for ten."""
    return {
        name: frame.assign(
            index_date=[pd.Timestamp(start, tz=zone) + pd.Timedelta(days=i % 10) for i in range(len(frame))]
        )
        for (name, frame), start in zip(frames().items(), starts, strict=True)
    }


IN_ORDER = ("2024-01-01", "2024-01-11", "2024-01-21", "2024-02-01")


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_splits_in_temporal_order_are_valid(zone: str | None) -> None:
    verdict = SplitEnforcer().validate_splits(**dated(*IN_ORDER, zone=zone), time_column="index_date")
    assert verdict.is_valid, verdict.violations


def bad_order() -> dict[str, tuple[dict[str, pd.DataFrame], str, str]]:
    good = dated(*IN_ORDER)
    overlapping = dated("2024-01-01", "2024-01-10", "2024-01-21", "2024-02-01")
    zones = {**good, "test_df": dated(*IN_ORDER, zone="UTC")["test_df"]}
    text = {**good, "val_df": good["val_df"].assign(index_date="last spring")}
    nulls = {**good, "val_df": good["val_df"].assign(index_date=pd.NaT)}
    absent = {**good, "val_df": good["val_df"].drop(columns="index_date")}
    return {
        "a day in common": (overlapping, "temporal_order", "12 rows of train are not before the first"),
        "reversed": (dated(*IN_ORDER[::-1]), "temporal_order", "120 rows of train"),
        "two time zones": (zones, "bad_dates", "different time zones: None, UTC"),
        "no dates": (text, "bad_dates", "validation.index_date: holds no ISO dates"),
        "nulls": (nulls, "bad_dates", "validation.index_date: 40 nulls"),
        "no column": (absent, "bad_dates", "validation: column index_date is missing"),
    }


@pytest.mark.parametrize("case", bad_order())
def test_what_is_not_in_order_is_refused(case: str) -> None:
    splits, rule, words = bad_order()[case]
    verdict = SplitEnforcer().validate_splits(**splits, time_column="index_date")
    assert not verdict.is_valid
    assert rule in verdict.broken
    assert any(words in line for line in verdict.violations), verdict.violations
