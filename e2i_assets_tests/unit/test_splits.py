from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from e2i_assets.modeling.errors import SplitError
from e2i_assets.modeling.splits.assignment import (
    Divided,
    Stability,
    assign_splits,
    compare_assignments,
    divide,
)
from e2i_assets.modeling.splits.policy import MINIMUM_COHORT, RATIOS, TOLERANCE, stratum_tolerance

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
    start = data.draw(st.integers(MINIMUM_COHORT, len(table)))
    for stop in (start, data.draw(st.integers(start, len(table))), len(table)):
        grown = assign_splits(table.iloc[:stop], known, seed=7)
        remaining = grown.merge(known, on="patient_id", suffixes=("", "_before"))
        assert len(remaining) == len(known)
        assert (remaining["split"] == remaining["split_before"]).all()
        known = grown
    assert not known["patient_id"].duplicated().any()
    assert np.abs(shares(known) - pd.Series(RATIOS)).max() <= 0.02


def test_many_small_strata_do_not_add_up_to_wrong_ratios() -> None:
    """Five patients alone would always be 3, 1, 1 and none in holdout."""
    assigned = assign_splits(patients([i // 5 for i in range(300)]), NOBODY, seed=1)
    assert np.abs(shares(assigned) - pd.Series(RATIOS)).max() <= 0.02


def test_patients_who_arrive_one_by_one_keep_the_ratios_in_every_stratum() -> None:
    table = patients(np.random.default_rng(1).integers(0, 3, 120).tolist())
    known = NOBODY
    for stop in range(MINIMUM_COHORT, len(table) + 1):
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
        (patients([0] * 66), NOBODY, "66 patients; four splits within 2 % need at least 67"),
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


def rows(
    days: np.ndarray, outcome: np.ndarray, *, start: int = 0, journeys: int = 1, gap: int = 0
) -> pd.DataFrame:
    """Journeys with an index date each; further journeys of a patient come `gap` days after the one before."""
    table = pd.DataFrame(
        {
            "patient_id": [f"p{i:06d}" for i in range(start, start + len(days))],
            "index_date": pd.Timestamp("2021-01-01") + pd.to_timedelta(days, unit="D"),
            "started": outcome.astype(float),
        }
    )
    later = [
        table.assign(index_date=table["index_date"] + pd.Timedelta(days=gap * n)) for n in range(journeys)
    ]
    return pd.concat(later, ignore_index=True)


def in_order(table: pd.DataFrame, known: pd.DataFrame = NOBODY) -> Divided:
    return divide(table, known, targets=["started"], order="temporal", time_column="index_date", seed=1)


def attempt(table: pd.DataFrame, known: pd.DataFrame = NOBODY) -> Divided | SplitError:
    try:
        return in_order(table, known)
    except SplitError as refused:
        return refused


def drawn(size: int, seed: int, *, days: int = 900, rate: float = 0.4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return rows(rng.integers(0, days, size), rng.random(size) < rate)


def strata_off(table: pd.DataFrame, assigned: pd.DataFrame) -> float:
    """Largest deviation of a stratum in a split, as a share of what is allowed."""
    merged = table.drop_duplicates("patient_id").merge(assigned, on="patient_id")
    counts = pd.crosstab(merged["started"], merged["split"]).reindex(columns=list(RATIOS), fill_value=0)
    totals = counts.sum(axis=1).to_numpy()
    off = np.abs(counts.to_numpy() - np.outer(totals, list(RATIOS.values())))
    slack = [[stratum_tolerance(total, totals.sum(), share) for share in RATIOS.values()] for total in totals]
    return float((off / slack).max())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(100, 900), st.integers(1, 1200), st.floats(0.02, 0.98), st.integers(0, 2**31),
    st.integers(1, 2), st.integers(0, 200),
)  # fmt: skip
@example(size=100, days=22, rate=0.02, seed=2052106, journeys=1, gap=0)
def test_temporal_splits_keep_every_wish_or_say_which_they_cannot(
    size: int, days: int, rate: float, seed: int, journeys: int, gap: int
) -> None:
    rng = np.random.default_rng(seed)
    table = rows(rng.integers(0, days, size), rng.random(size) < rate, journeys=journeys, gap=gap)
    divided = attempt(table)
    if isinstance(divided, SplitError):
        assert divided.code.startswith("order_against_")
        assert "stability" not in divided.code
        assert ("patients" in divided.code) <= (journeys > 1 and gap > 0)
        assert divided.next_step
        return
    one_class = table["started"].nunique() == 1
    broken = divided.validation.broken
    assert broken == ("one_class",) if one_class else broken in {(), ("stratification",)}
    assert divided.validation.is_valid is not bool(broken)
    assert np.abs(shares(divided.assigned) - pd.Series(RATIOS)).max() <= 0.02 + 1e-9
    assert strata_off(table, divided.assigned) <= 1
    assert divided.assigned["patient_id"].is_unique
    dates = [frame["index_date"] for frame in divided.frames.values()]
    assert all(before.max() < after.min() for before, after in pairwise(dates))
    shuffled = in_order(table.sample(frac=1, random_state=seed % 1000))
    pd.testing.assert_frame_equal(divided.assigned, shuffled.assigned)


def test_ordinary_cohorts_can_be_split_in_order() -> None:
    """The refusals of the property test are not the rule."""
    for seed in range(20):
        assert in_order(drawn(800, seed)).validation.is_valid


def by_search(table: pd.DataFrame) -> bool:
    """Whether any three cuts keep order, ratios and strata: every one of them is tried."""
    table = table.sort_values("index_date", ignore_index=True)
    size, outcome = len(table), table["started"].to_numpy()
    day = table["index_date"].to_numpy()
    cuts = [k for k in range(1, size) if day[k - 1] < day[k]]
    groups = [np.ones(size), outcome, 1 - outcome]

    def slack(group: np.ndarray, share: float) -> float:
        everyone = group.sum() == size
        return TOLERANCE * size + 1e-9 if everyone else stratum_tolerance(group.sum(), size, share)

    def fits(bounds: tuple[int, ...]) -> bool:
        return all(
            abs(group[a:b].sum() - share * group.sum()) <= slack(group, share)
            for group in groups
            for share, a, b in zip(RATIOS.values(), bounds[:-1], bounds[1:], strict=True)
        )

    near = [[k for k in cuts if abs(k - s * size) <= 0.04 * size + 1] for s in (0.6, 0.8, 0.95)]
    return any(fits((0, a, b, c, size)) for a in near[0] for b in near[1] for c in near[2] if a < b < c)


@settings(max_examples=25, deadline=None)
@given(st.integers(70, 110), st.integers(5, 60), st.floats(0.1, 0.9), st.integers(0, 2**31))
def test_cuts_are_found_exactly_when_there_are_any(size: int, days: int, rate: float, seed: int) -> None:
    table = drawn(size, seed, days=days, rate=rate)
    assert isinstance(attempt(table), Divided) == by_search(table)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(0, 1000))
def test_temporal_splits_stay_when_patients_arrive_or_say_why_they_cannot(
    seed: int, arrivals: int, since: int
) -> None:
    first = drawn(600, seed % 7)
    known = in_order(first).assigned
    rng = np.random.default_rng(seed)
    more = rows(rng.integers(since, 1001, arrivals), rng.random(arrivals) < 0.4, start=10_000)
    grown = attempt(pd.concat([first, more]), known)
    if isinstance(grown, SplitError):
        anew = attempt(pd.concat([first, more]))
        assert "stability" in grown.code or isinstance(anew, SplitError)
        return
    remaining = grown.assigned.merge(known, on="patient_id", suffixes=("", "_before"))
    assert len(remaining) == len(known)
    assert (remaining["split"] == remaining["split_before"]).all()
    assert "temporal_order" not in grown.validation.broken
    assert np.abs(shares(grown.assigned) - pd.Series(RATIOS)).max() <= 0.02 + 1e-9


def tied() -> pd.DataFrame:
    return rows(np.array([0] * 150 + [1] * 150), np.tile([0, 1], 150))


def drifting() -> pd.DataFrame:
    return rows(np.arange(400), np.arange(400) >= 200)


def returning() -> pd.DataFrame:
    return rows(np.arange(300), np.tile([0, 1, 1], 100), journeys=2, gap=200)


def later() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everybody new comes after everybody known."""
    table = drawn(600, 3)
    more = rows(np.arange(1000, 1200), np.tile([0, 1], 100), start=10_000)
    return pd.concat([table, more]), in_order(table).assigned


def shuffled_before() -> tuple[pd.DataFrame, pd.DataFrame]:
    table = drawn(600, 3)
    random = divide(
        table, NOBODY, targets=["started"], order="random", time_column="index_date", seed=1
    ).assigned
    return table, random


@pytest.mark.parametrize(
    ("given_rows", "code"),
    [
        (lambda: (tied(), NOBODY), "order_against_ratios"),
        (lambda: (drifting(), NOBODY), "order_against_stratification"),
        (lambda: (returning(), NOBODY), "order_against_patients"),
        (later, "order_against_stability"),
        (shuffled_before, "order_against_stability"),
    ],
    ids=["one day", "drift", "patients who come back", "only later patients", "split at random before"],
)
def test_wishes_that_cannot_hold_together_are_named(given_rows, code: str) -> None:
    with pytest.raises(SplitError, match="60/20/15/5 within 2 %") as refused:
        in_order(*given_rows())
    assert refused.value.code == code
    assert len(refused.value.next_step) > 20


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        ([pd.Timestamp("2024-01-01", tz=zone) for zone in ("UTC", "Asia/Tokyo")] * 50, "time zones"),
        (["2024-01-01", "03/04/2024"] * 50, "no ISO dates"),
        ([pd.Timestamp("2024-01-01"), pd.NaT] * 50, "50 nulls"),
    ],
)
def test_dates_that_cannot_be_ordered_are_refused(dates: list[object], words: str) -> None:
    table = drawn(100, 1).assign(index_date=dates)
    with pytest.raises(SplitError, match=words) as refused:
        in_order(table)
    assert refused.value.code == "bad_dates"


def test_several_targets_are_stratified_together() -> None:
    table = drawn(600, 2).assign(churned=lambda t: (np.arange(len(t)) % 3 == 0).astype(float))
    table.loc[table["started"] == 0, "churned"] = np.nan
    divided = divide(
        table, NOBODY, targets=["started", "churned"], order="random", time_column="index_date", seed=1
    )
    assert divided.validation.is_valid
    wholes = table.fillna(-1).groupby(["started", "churned"]).size()
    for name, frame in divided.frames.items():
        counts = frame.fillna(-1).groupby(["started", "churned"]).size()
        assert (counts - RATIOS[name] * wholes).abs().max() < 1 + 1e-6


def test_a_patient_of_several_journeys_is_in_one_split() -> None:
    table = rows(np.arange(300), np.tile([0, 1, 1], 100), journeys=2, gap=10)
    divided = divide(table, NOBODY, targets=["started"], order="random", time_column="index_date", seed=1)
    assert sum(len(frame) for frame in divided.frames.values()) == 600
    assert sum(divided.validation.counts.values()) == 300
    assert divided.validation.is_valid


def test_a_cohort_that_many_have_left_is_judged_by_who_is_there() -> None:
    table = drawn(600, 4)
    known = divide(
        table, NOBODY, targets=["started"], order="random", time_column="index_date", seed=1
    ).assigned
    gone = known.loc[known["split"] == "test", "patient_id"].head(60)
    left = divide(
        table[~table["patient_id"].isin(gone)], known,
        targets=["started"], order="random", time_column="index_date", seed=1,
    )  # fmt: skip
    assert set(left.validation.broken) == {"ratios", "stratification"}


def test_comparison_counts_who_kept_came_and_moved() -> None:
    before = pd.DataFrame({"patient_id": ["a", "b", "gone"], "split": ["train", "test", "train"]})
    now = pd.DataFrame({"patient_id": ["a", "b", "c"], "split": ["train", "holdout", "train"]})
    assert compare_assignments(before, now) == Stability(kept=1, new=1, moved=1)
    with pytest.raises(SplitError, match="column split is missing"):
        compare_assignments(before.drop(columns="split"), now)
