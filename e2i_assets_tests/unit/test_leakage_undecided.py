"""What cannot be decided is said: dates that can be read in two ways, rows that differ in the tenth digit, many classes."""

import numpy as np
import pandas as pd
import pytest

from e2i_assets.leakage import LeakageError, audit_leakage
from e2i_assets_tests.unit.leakage_frames import N, audit, frame, rng


@pytest.fixture(scope="module")
def clean():
    return frame()


def days(first, last, n=N):
    return (
        pd.Series(pd.date_range(first, last)).sample(n, replace=True, random_state=2).reset_index(drop=True)
    )


SUMMER = {"first": "2024-06-01", "last": "2024-08-31"}


def ambiguous(months, day, form="{:02d}/{:02d}/2024"):
    """Dates of these months on this day, day first."""
    return [form.format(day, months[i % len(months)]) for i in range(N)]


@pytest.mark.parametrize(
    "form", ["{:02d}/{:02d}/2024", "{}/{}/24", "{:02d}-{:02d}-2024", "seen on {:02d}/{:02d}/2024"]
)
def test_dates_that_may_be_late_are_a_finding(clean, form):
    """The first of September to December, or the ninth to twelfth of January."""
    table = clean.assign(index_date=days(**SUMMER), seen=ambiguous((9, 10, 11, 12), 1, form))
    (finding,) = audit(table).findings
    assert (finding.kind, finding.column, finding.statistic) == ("temporal", "seen", 1.0)
    assert "day and month cannot be told apart" in finding.evidence
    assert "state their format" in finding.evidence


@pytest.mark.parametrize(
    "form",
    [
        "{:02d}-{:02d}-24",
        "{:02d} {:02d} 2024",
        "{:02d}_{:02d}_2024",
        "{:02d}{:02d}2024",
        "24-{1:02d}-{0:02d}",
    ],
)
def test_dates_that_are_told_by_the_whole_column_are_compared(clean, form):
    seen = ambiguous((9, 10, 11, 12), 1, form)
    table = clean.assign(index_date=days(**SUMMER), seen=seen)
    assert [(f.kind, f.column, f.statistic) for f in audit(table).findings] == [("temporal", "seen", 1.0)]
    assert audit(table.assign(index_date=pd.Timestamp("2025-01-01"))).ok
    codes = [f"{i % 97:02d}-{i % 89:02d}-{i % 83:02d}" for i in range(N)]
    assert audit(table.assign(seen=codes)).ok
    assert audit(table.assign(seen=[("10 20 30", "05 10 15")[i // 7 % 2] for i in range(N)])).ok


def test_dates_that_are_early_either_way_are_none(clean):
    table = clean.assign(index_date=days("2025-01-01", "2025-03-01"), seen=ambiguous((9, 10, 11, 12), 1))
    assert audit(table).ok
    late = clean.assign(index_date=days("2023-01-01", "2023-03-01"), seen=ambiguous((9, 10, 11, 12), 1))
    (finding,) = audit(late).findings
    assert "cannot be told apart" not in finding.evidence


@pytest.mark.parametrize(
    ("seen", "late"),
    [
        (ambiguous((9, 10, 11, 12), 13), True),
        (ambiguous((1, 2, 3), 13), False),
        (["01/13/2024"] * N, False),
        (ambiguous((5,), 5), False),
        (ambiguous((9, 10), 1, "{:02d}.{:02d}.2024"), True),
        (["2024-01-09"] * N, False),
    ],
    ids=["a thirteenth, late", "a thirteenth, early", "month first", "the fifth of May", "dots", "ISO"],
)
def test_one_value_tells_all(clean, seen, late):
    table = clean.assign(index_date=days(**SUMMER), seen=seen)
    assert [f.column for f in audit(table).findings] == (["seen"] if late else [])


def test_an_index_date_that_can_be_read_in_two_ways_is_refused(clean):
    with pytest.raises(LeakageError, match="day and month cannot be told apart") as refused:
        audit(clean.assign(index_date=ambiguous((6, 7, 8), 1)))
    assert refused.value.code == "not_a_date"


def test_a_value_known_from_an_ambiguous_date_on_is_not_taken_for_known(clean):
    table = clean.assign(index_date=days(**SUMMER), since=ambiguous((9, 10, 11, 12), 1))
    contract = {"age": "since", "severity": "index"}
    assert ("age", "temporal") in {(f.column, f.kind) for f in audit(table, contract=contract).findings}


def test_dates_without_an_index_date_to_compare_them_with_are_a_limit(clean):
    table = clean.drop(columns="index_date").assign(
        seen=days(**SUMMER), noted=days(**SUMMER).astype(str), age=clean["age"].astype(int)
    )
    report = audit_leakage(table, "started", id_column="patient_id")
    assert report.ok
    assert report.examined["temporal"] == 0
    assert report.limits == (
        "seen, noted: dates, but no index date to compare them with (event_times) is named",
    )
    assert "seen, noted" in report.to_markdown()
    assert audit(table.assign(index_date=pd.Timestamp("2025-01-01"))).limits == ()


def large(start, n):
    """Rows that one number tells apart."""
    number = start + np.arange(n, dtype=np.int64)
    return pd.DataFrame({"y": number % 2, "num": number, "site": number % 3})


@pytest.mark.parametrize("start", [0, 1_000_000_000, 10**12, 2**53 + 7, 2**62])
@pytest.mark.parametrize("form", ["int64", "string", "float64"])
def test_copies_are_found_in_exact_precision(start, form):
    if form == "float64" and start >= 2**53:
        pytest.skip("several integers are one such number")
    whole = large(start, 1_200).sample(frac=1, random_state=0)
    test = pd.concat([whole.iloc[:60], whole.iloc[900:]])
    train, test = (part.astype({"num": form}).reset_index(drop=True) for part in (whole.iloc[:900], test))
    report = audit_leakage(train, "y", other_splits={"test": test})
    (finding,) = [f for f in report.findings if f.kind == "contamination"]
    assert finding.statistic == 60
    assert not any("equal rows" in limit for limit in report.limits)
    apart = audit_leakage(train, "y", other_splits={"test": test.iloc[60:]})
    assert not [f for f in apart.findings if f.kind == "contamination"]


def graded(table):
    grade = rng().choice(["none", "partial", "full"], len(table), p=[0.5, 0.3, 0.2])
    return table.drop(columns="severity").assign(started=grade)


ONE_CLASS = {
    "a flag": lambda y: y == "none",
    "a flag as text": lambda y: np.where(y == "full", "yes", "no"),
    "missing for one": lambda y: np.where(y == "partial", np.nan, rng().normal(size=len(y))),
    "there for one": lambda y: np.where(y == "partial", rng().normal(size=len(y)), np.nan),
    "an amount": lambda y: np.where(y == "full", rng().gamma(2.0, size=len(y)), 0.0),
    "a score": lambda y: rng().normal(size=len(y)) + 5 * (y == "none"),
    "nearly a flag": lambda y: (y == "none") ^ (rng().random(len(y)) < 0.005),
}


@pytest.mark.parametrize("case", ONE_CLASS)
def test_what_tells_one_class_of_several_is_found(clean, case):
    table = graded(clean)
    table["leak"] = ONE_CLASS[case](table["started"])
    assert [(f.kind, f.column) for f in audit(table).findings] == [("target", "leak")]


def response(table):
    """RECIST's four classes."""
    best = rng().choice(["CR", "PR", "SD", "PD"], len(table), p=[0.1, 0.3, 0.3, 0.3])
    return table.drop(columns="severity").assign(started=best)


SEVERAL_CLASSES = {
    "a flag": lambda y: y.isin(["CR", "PR"]),
    "a flag as text": lambda y: np.where(y.isin(["SD", "PD"]), "no", "yes"),
    "missing for two": lambda y: np.where(y.isin(["CR", "PR"]), np.nan, rng().normal(size=len(y))),
    "an amount for two": lambda y: np.where(y.isin(["CR", "PR"]), 0.0, rng().gamma(2.0, size=len(y))),
    "nearly a flag": lambda y: y.isin(["CR", "PR"]) ^ (rng().random(len(y)) < 0.005),
    "a level of three": lambda y: np.where(y.isin(["CR", "PR"]), "x", rng().choice(["a", "b"], len(y))),
}


@pytest.mark.parametrize("case", SEVERAL_CLASSES)
def test_what_tells_some_classes_from_the_others_is_found(clean, case):
    """Whether there was a response tells complete and partial from the rest, and neither of them alone."""
    table = response(clean)
    table["leak"] = SEVERAL_CLASSES[case](table["started"])
    (finding,) = audit(table).findings
    assert (finding.kind, finding.column) == ("target", "leak")
    assert "2 classes against the rest" in finding.evidence


def test_what_only_some_of_several_classes_have_is_no_leak(clean):
    table = response(clean)
    some = table["started"].isin(["CR", "PR"]) & (np.random.default_rng(5).random(N) < 0.7)
    assert audit(table.assign(biopsy=some)).ok


@pytest.mark.parametrize("names", [(0, 0.5, 1), (0.1, 0.2, 0.7), (1.5, 2.5, 3.5)])
def test_a_few_fractions_are_classes(clean, names):
    table = graded(clean)
    table["leak"] = table["started"] == "none"
    table["started"] = table["started"].map(dict(zip(["none", "partial", "full"], names, strict=True)))
    assert [(f.kind, f.column) for f in audit(table).findings] == [("target", "leak")]


@pytest.mark.parametrize("form", [str, "{}.0".format, "{:.2f}".format, " {} ".format])
def test_copies_are_found_where_one_split_has_text(form):
    whole = large(1_000_000_000, 1_200).sample(frac=1, random_state=0)
    train, test = whole.iloc[:900], pd.concat([whole.iloc[:60], whole.iloc[900:]])
    for column in ("num", "y"):
        (finding,) = audit_leakage(
            train, "y", other_splits={"test": test.assign(**{column: test[column].map(form)})}
        ).findings
        assert (finding.kind, finding.statistic) == ("contamination", 60)


def test_ids_that_only_one_split_pads_are_a_limit(clean):
    train = clean.assign(patient_id=[f"P-{i:05d}" for i in range(N)])
    test = clean.assign(age=clean["age"] + 1.5, patient_id=[f"P-{i}" for i in range(N - 30, 2 * N - 30)])
    result = audit(train, other_splits={"test": test}).limits
    assert any(
        "train and test: 30 values of patient_id differ in leading zeros alone" in limit for limit in result
    )
    alike = test.assign(patient_id=[f"P-{i:05d}" for i in range(N, 2 * N)])
    assert not any("zeros" in limit for limit in audit(train, other_splits={"test": alike}).limits)


def test_classes_that_are_not_compared_are_a_limit(clean):
    table = graded(clean)
    table.loc[:2, "started"] = "other"
    assert audit(table).limits == ("1 classes of started are too rare, or too many, to be compared",)
    many = table.assign(started=[f"c{i % 25}" for i in range(N)])
    assert audit(many).limits == ("5 classes of started are too rare, or too many, to be compared",)
