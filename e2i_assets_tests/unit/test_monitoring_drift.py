"""Drift between two tables: what is told, what is not, and how often chance alone is told."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from e2i_assets.monitoring import DriftError, ReferenceProfile, detect_drift
from e2i_assets.monitoring.statistics import benjamini_hochberg, trend

FAR = dt.date(9999, 12, 31)
NAMES = np.array(list("abcdef"), dtype=object)


def table(seed: int, rows: int, **others) -> pd.DataFrame:
    """Columns of all kinds, the same distributions for each seed."""
    rng = np.random.default_rng(seed)
    columns = {f"normal_{i}": rng.normal(size=rows) for i in range(6)}
    columns |= {
        "zeros": np.where(rng.random(rows) < 0.7, 0, rng.poisson(3, rows)),
        "rounded": rng.lognormal(size=rows).round(1),
        "grade": rng.integers(1, 4, rows),
        "levels": rng.choice(NAMES, rows, p=[0.5, 0.3, 0.1, 0.07, 0.02, 0.01]),
        "zip": rng.integers(0, 300, rows).astype(str) + pd.Series(["x"] * rows),
        "id": pd.Series(rng.integers(0, 10**9, rows)).map("P{}".format),
        "constant": 1,
        "nothing": None,
        "flag": pd.Series(rng.random(rows) < 0.1).astype("boolean").mask(rng.random(rows) < 0.3),
        "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D"),
        "gaps": np.where(rng.random(rows) < 0.4, np.nan, rng.normal(size=rows)),
        "stray": np.where(rng.random(rows) < 0.01, "unknown", rng.integers(0, 40, rows).astype(str)),
    }
    return pd.DataFrame(columns | {name: make(rng, rows) for name, make in others.items()})


def through_json(profile: ReferenceProfile) -> ReferenceProfile:
    return ReferenceProfile.from_document(json.loads(json.dumps(profile.document(), allow_nan=False)))


@pytest.mark.parametrize(("reference", "current", "times"), [(150, 150, 10), (1000, 120, 8), (5000, 5000, 2)])
def test_chance_alone_is_not_told(reference, current, times):
    told = 0
    for seed in range(times):
        was, now = table(2 * seed, reference), table(2 * seed + 1, current)
        profiles = ReferenceProfile.of(was), ReferenceProfile.of(now)
        told += detect_drift(was, now).drifted or detect_drift(*profiles).drifted
    assert told <= 1


SHIFTS = {
    "mean": (lambda rng, n: rng.normal(0, 1, n), lambda rng, n: rng.normal(0.5, 1, n), "psi"),
    "levels": (lambda rng, n: rng.choice(NAMES[:3], n, p=[0.6, 0.3, 0.1]),
               lambda rng, n: rng.choice(NAMES[:3], n, p=[0.36, 0.39, 0.25]), "psi"),
    "missing": (lambda rng, n: rng.normal(0, 1, n),
                lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1, n)), "missing"),
    "new level": (lambda rng, n: rng.choice(NAMES[:3], n),
                  lambda rng, n: np.where(rng.random(n) < 0.06, "new", rng.choice(NAMES[:3], n)), "new_level"),
    "constant": (lambda rng, n: np.full(n, 5.0), lambda rng, n: np.full(n, 3.0), "psi"),
    "infinite": (lambda rng, n: rng.normal(0, 1, n), lambda rng, n: np.full(n, np.inf), "psi"),
    "infinite otherwise": (lambda rng, n: np.full(n, -np.inf), lambda rng, n: np.full(n, np.inf), "psi"),
    "code": (lambda rng, n: rng.integers(1, 4, n), lambda rng, n: np.where(rng.random(n) < 0.1, 9, rng.integers(1, 4, n)), "psi"),
    "all gone": (lambda rng, n: rng.normal(0, 1, n), lambda rng, n: np.full(n, np.nan), "missing"),
    "day": (lambda rng, n: pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D"),
            lambda rng, n: (pd.Timestamp("2024-02-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D")).strftime("%Y-%m-%d"), "psi"),
}  # fmt: skip


def test_a_trend_over_cells_is_that_of_rank_sums():
    was, now = np.array([30.0, 20.0, 10.0, 0.0, 5.0]), np.array([10.0, 12.0, 9.0, 3.0, 7.0])
    rows = [np.repeat(np.arange(5), side.astype(int)) for side in (was, now)]
    expected = stats.mannwhitneyu(*rows, method="asymptotic", use_continuity=False).pvalue
    assert trend(was, now) == pytest.approx(expected)
    assert trend(was, was) == pytest.approx(1.0)
    assert trend(was[:1], now[:1]) == trend(was, np.zeros(5)) == 1.0


def test_a_column_counts_as_much_as_another_however_many_tests_it_has():
    alone, twice = benjamini_hochberg(np.array([0.01, 0.9, 0.9]), ["a", "b", "b"]), np.array([0.01, 0.9])
    assert alone[0] == pytest.approx(0.02)
    assert benjamini_hochberg(twice, ["a", "b"]) == pytest.approx([0.02, 0.9])
    assert benjamini_hochberg(np.array([0.9, 0.01, 0.9]), ["a", "b", "b"])[1] == pytest.approx(0.04)
    assert len(benjamini_hochberg(np.array([]), [])) == 0


@pytest.mark.parametrize("kind", SHIFTS)
def test_a_shift_in_one_column_is_told_of_that_column(kind):
    was, now, effect = SHIFTS[kind]
    columns = ["normal_0", "levels", "gaps", "shifted"]
    reference, current = table(1, 600, shifted=was)[columns], table(2, 600, shifted=now)[columns]
    for one, other in [
        (reference, current),
        (through_json(ReferenceProfile.of(reference)), current),
        (ReferenceProfile.of(reference), through_json(ReferenceProfile.of(current))),
        (reference, ReferenceProfile.of(current)),
    ]:
        report = detect_drift(one, other)
        assert report.drifted_columns == ("shifted",)
        column = next(column for column in report.columns if column.name == "shifted")
        assert column.finding(effect).severity != "none"
        assert report.severity in ("medium", "high", "critical")
        assert "shifted" in report.summary


def test_a_small_effect_is_not_told_however_many_rows_there_are():
    rng = np.random.default_rng(0)
    was = pd.DataFrame({"x": rng.normal(0, 1, 200_000)})
    now = pd.DataFrame({"x": rng.normal(0.1, 1, 200_000)})
    report = detect_drift(was, now)
    assert report.columns[0].findings[0].p_adjusted < 1e-30
    assert not report.drifted


def test_figures_are_those_of_the_whole_columns():
    rng = np.random.default_rng(3)
    was, now = rng.normal(0, 1, 30_000), rng.normal(0.3, 1.2, 20_000)
    column = detect_drift(pd.DataFrame({"x": was}), pd.DataFrame({"x": now})).columns[0]
    exact = stats.ks_2samp(was, now).statistic
    assert column.finding("ks").effect.size == pytest.approx(exact, abs=2e-3)
    edges = np.quantile(was, np.linspace(0.1, 0.9, 9))
    shares = [np.bincount(np.searchsorted(edges, side), minlength=10) / len(side) for side in (was, now)]
    index = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()
    assert column.finding("psi").effect.size == pytest.approx(index, rel=0.03)


def test_a_profile_holds_no_small_cell_and_no_name_of_few():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({
        "age": np.append(rng.integers(20, 80, 497), [3, 101, 107]),
        "city": ["common"] * 496 + ["hamlet"] * 4,
        "few": np.append(np.zeros(498), [7.25, 9.5]),
        "ends": np.append(np.zeros(490), [*range(1, 10), 77.5]),
    })  # fmt: skip
    profile = ReferenceProfile.of(frame)
    text = json.dumps(profile.document())
    assert "common" in text
    for rare in ("hamlet", "101.0", "107.0", "7.25", "9.5", "77.5"):
        assert rare not in text
    for name in ("age", "few", "ends"):
        assert all(count == 0 or count >= 5 for count in profile.columns[name].counts)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (["1", "2", "3"] * 40, [1.0, 2.0, 3.0] * 40),
        ([" a", "b "] * 60, ["a", "b"] * 60),
        ([True, False] * 60, [1, 0] * 60),
        (["true", "false"] * 60, [True, False] * 60),
        (pd.Categorical(["a", "b"] * 60), ["a", "b"] * 60),
        (pd.Categorical([1, 2] * 60), [1, 2] * 60),
        (pd.to_datetime(["2024-01-01", "2024-02-01"] * 60), ["2024-01-01", "2024-02-01"] * 60),
        (pd.to_datetime(["2024-01-01", "2024-02-01"] * 60, utc=True), ["2024-01-01T00:00:00Z", "2024-02-01"] * 60),
        ([1, 2, None] * 40, pd.array([1, 2, None] * 40, dtype="Int64")),
        ([["a"], ["b"]] * 60, [["a"], ["b"]] * 60),
        ([1e9 + i for i in range(120)], [1e9 + i for i in range(120)]),
        ([np.inf, -np.inf, 0.0] * 40, [np.inf, -np.inf, 0.0] * 40),
        ([-1.7e308, 1.7e308] * 60, [-1.7e308, 1.7e308] * 60),
        ([1j, 2j] * 60, [1j, 2j] * 60),
        ([FAR, dt.date(2024, 1, 1)] * 60, ["9999-12-31", "2024-01-01"] * 60),
        (pd.array([dt.date(2024, 1, 1), None] * 60, dtype="date32[pyarrow]"), ["2024-01-01", None] * 60),
        (pd.array([Decimal("1.5"), None] * 60, dtype=pd.ArrowDtype(pa.decimal128(9, 2))), [1.5, None] * 60),
        (["\ud800", "a"] * 60, ["\ud800", "a"] * 60),
    ],
)  # fmt: skip
def test_the_same_values_are_the_same_whatever_holds_them(was, now):
    was, now = pd.DataFrame({"x": was}), pd.DataFrame({"x": now})
    report = detect_drift(was, now)
    assert not report.drifted, report.to_frame()
    through_json(ReferenceProfile.of(was))


@pytest.mark.parametrize("known", [37, 60])
def test_a_column_that_few_have_is_not_told_by_chance(known):
    """Bins of a few rows each are chosen by the reference's rows, not by which have most now."""
    told = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sides = [
            np.append(rng.gamma(2, 80, n), np.full(rows - n, np.nan))
            for n, rows in ((known, 223), (known // 2, 149))
        ]
        told += detect_drift(*(pd.DataFrame({"x": side}) for side in sides)).drifted
    assert told <= 0.05 * 150


def test_rows_of_one_patient_are_no_more_evidence_than_one() -> None:
    """Of 40 comparisons without drift, in which a patient has up to eight journeys that are alike."""
    told = {"rows": 0, "patients": 0, "profiles": 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        was, now = (journeys(rng, patients) for patients in (150, 80))
        profiles = [ReferenceProfile.of(one, clusters="patient") for one in (was, now)]
        told["rows"] += detect_drift(was.drop(columns="patient"), now).drifted
        told["patients"] += detect_drift(was, now, clusters="patient").drifted
        told["profiles"] += detect_drift(*profiles).drifted
    assert told["rows"] > 10
    assert max(told["patients"], told["profiles"]) <= 2
    moved = now.assign(lab_0=now["lab_0"] + 2)
    assert detect_drift(was, moved, clusters="patient").drifted_columns == ("lab_0",)
    with pytest.raises(DriftError, match="to tell clusters by"):
        detect_drift(was, now, clusters="hcp")


def test_facts_of_a_physician_count_once_for_all_patients() -> None:
    """Of 24 deliveries from 24 physicians who are like those before, and 8 from 60 who are not."""
    told = {"plain": 0, "clusters": 0, "profile": 0, "other mix": 0}
    for seed in range(24):
        rng = np.random.default_rng(seed)
        was, now = treated(rng, 1000, 200), treated(rng, 120, 24)
        told["plain"] += detect_drift(was.drop(columns="hcp"), now.drop(columns="hcp")).drifted
        told["clusters"] += detect_drift(was, now, clusters="hcp").drifted
        profile = through_json(ReferenceProfile.of(was, clusters="hcp"))
        told["profile"] += detect_drift(profile, now, clusters="hcp").drifted
        if seed < 8:
            other = treated(rng, 300, 60, specialties=[0.1, 0.2, 0.7])
            told["other mix"] += "specialty" in detect_drift(was, other, clusters="hcp").drifted_columns
    assert told["plain"] > 12
    assert max(told["clusters"], told["profile"]) <= 1
    assert told["other mix"] == 8


def test_what_does_not_depend_on_the_physician_is_tested_as_before() -> None:
    rng = np.random.default_rng(0)
    was, now = treated(rng, 1000, 200), treated(rng, 120, 24)
    now["own_0"] += 1
    report = detect_drift(was, now, clusters="hcp")
    own = next(column for column in report.columns if column.name == "own_0")
    assert own.severity == "critical"
    assert own.compared.reference.correlation < 0.05
    specialty = next(column for column in report.columns if column.name == "specialty")
    assert specialty.compared.reference.correlation == 1
    assert specialty.compared.current.rows == 120


def treated(
    rng: np.random.Generator, patients: int, hcps: int, specialties: tuple[float, ...] = (0.5, 0.3, 0.2)
) -> pd.DataFrame:
    """Patients of physicians who have more or fewer of them, with facts of their physician and their own."""
    size = rng.lognormal(0, 0.5, hcps)
    of = rng.choice(hcps, patients, p=size / size.sum())
    facts = {
        "specialty": rng.choice(NAMES[:3], hcps, p=specialties), "volume": rng.lognormal(5, 1, hcps),
        "score": np.where(rng.random(hcps) < 0.1, np.nan, rng.random(hcps)), "visited": rng.random(hcps) < 0.6,
    }  # fmt: skip
    own = {f"own_{i}": rng.normal(size=patients) for i in range(4)}
    return pd.DataFrame({"hcp": of, **{name: fact[of] for name, fact in facts.items()}, **own})


def journeys(rng: np.random.Generator, patients: int) -> pd.DataFrame:
    """Patients with their journeys; what is known of a patient hardly differs between them."""
    of = np.repeat(np.arange(patients), rng.integers(1, 9, patients))
    labs = {f"lab_{i}": rng.normal(size=patients)[of] + rng.normal(0, 0.1, len(of)) for i in range(4)}
    return pd.DataFrame({"patient": of, "arm": rng.choice(NAMES[:3], patients)[of], **labs})


def test_codes_that_differ_in_spelling_alone_stay_two():
    was, now = pd.DataFrame({"x": ["250.00x", "1E2x"] * 60}), pd.DataFrame({"x": ["250.0x", "100x"] * 60})
    assert detect_drift(was, now).severity == "critical"


def test_columns_that_are_gone_added_or_of_another_kind():
    was = pd.DataFrame({"x": range(100), "gone": 1, "text": ["a", "b"] * 50})
    now = pd.DataFrame({"x": range(100), "added": 1, "text": pd.to_datetime(["2024-01-01"] * 100)})
    report = detect_drift(was, now)
    problems = {column.name: (column.problem, column.severity) for column in report.columns}
    assert problems == {
        "x": ("", "none"),
        "gone": ("absent", "critical"),
        "text": ("kind_changed", "critical"),
    }
    assert report.added == ("added",)
    once = detect_drift(was, now, columns=["x", "x"])
    assert (once.drifted, len(once.columns)) == (False, 1)


@pytest.mark.parametrize(
    ("was", "now", "options", "code"),
    [
        (pd.DataFrame({"x": []}), pd.DataFrame({"x": [1]}), {}, "nothing_to_compare"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": []}), {}, "nothing_to_compare"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"y": [1]}), {}, "nothing_to_compare"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1]}), {"columns": ["z"]}, "unknown_column"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1]}), {"columns": 5}, "unknown_column"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1]}), {"clusters": ["x"]}, "unknown_column"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1]}), {"alpha": 5}, "bad_alpha"),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": [1]}), {"alpha": "0.05"}, "bad_alpha"),
        ([1], pd.DataFrame({"x": [1]}), {}, "bad_frame"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), pd.DataFrame({"x": [1]}), {}, "bad_frame"),
    ],
)
def test_what_cannot_be_compared_is_refused(was, now, options, code):
    with pytest.raises(DriftError) as refused:
        detect_drift(was, now, **options)
    assert refused.value.code == code


def test_too_few_rows_are_not_judged():
    report = detect_drift(pd.DataFrame({"x": range(100)}), pd.DataFrame({"x": [1e6] * 29}))
    assert not report.judged
    assert not report.drifted
    assert "30 are needed" in report.summary


def test_a_profile_of_another_release_is_refused():
    with pytest.raises(DriftError, match="no reference profile"):
        ReferenceProfile.from_document({"rows": 1, "columns": {}, "more": 1})
