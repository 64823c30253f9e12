"""One value, one spelling: what counts as the same identifier and the same label, wherever it is compared."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from e2i_assets.contracts.spelling import as_key, as_label, key
from e2i_assets.leakage import audit_leakage
from e2i_assets.modeling import SplitEnforcer
from e2i_assets_tests.unit.leakage_frames import frame as clean_frame
from e2i_assets_tests.unit.source_frames import read

SEVENTEEN = (
    [17],
    [17.0],
    ["17"],
    [" 17"],
    ["17.0"],
    ["17."],
    ["17\xa0"],
    [np.int32(17)],
    [decimal.Decimal("17.0")],
)


@pytest.mark.parametrize("values", SEVENTEEN, ids=repr)
def test_one_identifier_has_one_spelling(values):
    assert as_key(pd.Series(values)).tolist() == ["17"]
    assert as_key(pd.Series([*values, None])).tolist() == ["17", pd.NA]


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("00270", "00270"), ("270", "270"), ("00270.0", "00270"), ("1e3", "1e3"), ("17.5", "17.5"), ("P-17.0", "P-17.0"),
        ("p 17", "p 17"), ("True", "True"), ("12345678901234567890", "12345678901234567890"), ("  ", None),
    ],
)  # fmt: skip
def test_what_an_identifier_keeps(text, spelt):
    """The same in pandas, where splits are compared, and in Polars, where rows are loaded."""
    (ours,) = as_key(pd.Series([text]))
    assert (None if pd.isna(ours) else ours) == spelt
    assert key(pl.Series([text])).to_list() == [spelt]
    assert len({*as_key(pd.Series([2**53, 2**53 + 1]))}) == 2


ONE = ([1], [1.0], [True], ["1"], ["1.0"], [" 1"], ["True"], ["true"], ["+1"], [np.bool_(True)], ["1.00"])


@pytest.mark.parametrize("values", ONE, ids=repr)
def test_one_label_has_one_spelling(values):
    assert as_label(pd.Series(values)).tolist() == ["1"]
    assert as_label(pd.Series([*values, None], dtype=object)).tolist() == ["1", pd.NA]


def test_labels_that_are_no_number_stay_as_they_are():
    remaining = ["none", "Yes", "01", "1.5", "III", "1-2"]
    assert as_label(pd.Series(remaining)).tolist() == remaining
    assert as_label(pd.Series([0, -0.0, False, "0.0", "false"], dtype=object)).tolist() == ["0"] * 5
    assert as_label(pd.Series(["1.50", "1.5"])).tolist() == ["1.5"] * 2


def splits(**columns):
    sizes = {"train_df": 120, "val_df": 40, "test_df": 30, "holdout_df": 10}
    start, made = 0, {}
    for name, size in sizes.items():
        ids = range(start, start + size)
        made[name] = pd.DataFrame({"patient_id": [str(i) for i in ids], "started": [i % 2 for i in ids]})
        start += size
    return made


@pytest.mark.parametrize("spelt", ["{}.0", " {}", "{}\t"])
def test_a_patient_is_seen_in_two_splits_however_spelt(spelt):
    made = splits()
    made["val_df"]["patient_id"] = [spelt.format(i) for i in range(40)]
    verdict = SplitEnforcer().validate_splits(**made)
    assert verdict.broken == ("patient_overlap",)
    assert verdict.violations == ("40 patients are in both train and validation",)
    report = audit_leakage(
        clean_frame().assign(patient_id=range(1200)), "started", id_column="patient_id",
        other_splits={"test": clean_frame(seed=4, n=30).assign(patient_id=[spelt.format(i) for i in range(30)])},
    )  # fmt: skip
    assert [(f.kind, f.statistic) for f in report.findings] == [("contamination", 30)]


def test_numbers_and_texts_are_compared_and_still_refused():
    """The number 17 is the text 17; whether it was 017 nobody knows any more."""
    made = splits()
    made["val_df"]["patient_id"] = range(40)
    assert SplitEnforcer().validate_splits(**made).broken == ("id_types", "patient_overlap")
    padded = splits()
    padded["val_df"]["patient_id"] = [f"{i:05d}" for i in range(40)]
    assert SplitEnforcer().validate_splits(**padded).is_valid
    large = {
        name: frame.assign(patient_id=2.0**53 + 2 * np.arange(len(frame))) for name, frame in splits().items()
    }
    assert "id_types" in SplitEnforcer().validate_splits(**large).broken


def test_spaces_and_accents_of_any_encoding_are_one_spelling():
    ids = [
        "Andr\u00e9-1",
        "Andre\u0301-1",
        "\u3000Andr\u00e9-1",
        "Andr\u00e9-1\u200d",
        "\u2003Andr\u00e9-1\u2060",
    ]
    assert set(as_key(pd.Series(ids))) == set(key(pl.Series(ids))) == {"Andr\u00e9-1"}


def test_a_patient_spelt_twice_in_one_split_counts_once():
    made = splits()
    again = made["train_df"].assign(patient_id=made["train_df"]["patient_id"] + ".0")
    made["train_df"] = pd.concat([made["train_df"], again])
    assert SplitEnforcer().validate_splits(**made).counts["train"] == 120


def test_a_target_is_stratified_by_its_value():
    whole = splits()
    spelt = splits()
    spelt["val_df"] = spelt["val_df"].assign(
        started=spelt["val_df"]["started"].astype(float).where(lambda s: s.index > 0)
    )
    spelt["test_df"] = spelt["test_df"].astype({"started": bool})
    spelt["holdout_df"] = spelt["holdout_df"].assign(
        started=spelt["holdout_df"]["started"].map({0: "0.0", 1: "True"})
    )
    for made in (whole, spelt):
        assert SplitEnforcer().validate_splits(**made, targets=["started"]).is_valid


def test_a_target_in_several_spellings_is_of_two_classes():
    table = clean_frame()
    spelt = (
        table["started"].astype(object).where(table.index % 3 > 0, table["started"].map({0: "0", 1: "true"}))
    )
    report = audit_leakage(
        table.assign(started=spelt, leak=table["started"]), "started", id_column="patient_id"
    )
    assert {f.column for f in report.findings} == {"leak"}


def test_identifiers_are_loaded_in_one_spelling(tmp_path):
    content = "id,who\nj1,17\nj2,17.0\nj3, 17\nj4,00270\nj5,270\n"
    part = read(tmp_path, content, {"patient_journey_id": "id", "patient_id": "who"})
    assert part.frame["patient_id"].to_list() == ["17", "17", "17", "00270", "270"]
