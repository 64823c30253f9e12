"""Leakage: columns that tell the outcome together, and events of a follow-up."""

import numpy as np
import pandas as pd
import pytest

from e2i_assets.leakage import audit_leakage
from e2i_assets_tests.unit.leakage_frames import N, frame, leaks, rng


@pytest.fixture(scope="module")
def clean():
    return frame()


def quantities(n=N):
    draw = np.random.default_rng(8)
    return pd.DataFrame({c: draw.gamma(3.0, 10.0, n) for c in ("visits", "drugs", "tests", "travel", "age")})


def test_parts_that_add_up_to_the_target_are_found_together():
    table = quantities().assign(cost=lambda t: t["visits"] + t["drugs"] + 2 * t["tests"])
    findings = audit_leakage(table, "cost").findings
    assert {f.column for f in findings} == {"visits", "drugs", "tests"}
    assert all("sum or difference of visits, drugs, tests" in f.evidence for f in findings)
    noisy = table.assign(cost=table["cost"] + rng().normal(0, 5, N))
    assert audit_leakage(noisy, "cost").ok


def test_of_a_change_only_the_later_measurement_is_accused():
    table = quantities().rename(columns={"visits": "wt71", "drugs": "wt82"})
    assert {
        f.column for f in audit_leakage(table.assign(gain=table["wt82"] - table["wt71"]), "gain").findings
    } == {"wt82"}


def test_two_columns_whose_order_is_the_target_are_found():
    table = quantities().assign(improved=lambda t: (t["drugs"] > t["tests"]).astype(int))
    assert {f.column for f in audit_leakage(table, "improved").findings} == {"drugs", "tests"}
    wrong = rng().random(N) < 0.05
    noisy = table.assign(improved=table["improved"].where(~wrong, 1 - table["improved"]))
    assert audit_leakage(noisy, "improved").ok


def test_a_column_that_repeats_a_leak_is_one(clean):
    """The date of a death is there for the dead; whether it is there says no less."""
    y = clean["started"] == 1
    died = y & (rng().random(N) < 0.9) | (rng().random(N) < 0.02)
    table = clean.assign(died=died.astype(int), age_then=np.where(died, rng().integers(40, 90, N), np.nan))
    assert leaks(table) == {("target", "died"), ("target", "age_then")}


def test_the_time_of_an_event_is_a_target_too(clean):
    """The event indicator beside a survival time is known no earlier than the time itself."""
    time = rng().exponential(300, N)
    table = clean.assign(started=time, event=(time < 200).astype(int))
    assert leaks(table) == {("target", "event")}


def trial(n=N):
    """A trial: deaths in a follow-up, relapses in it with their time or its end, transplants with their time."""
    draw = np.random.default_rng(12)
    end = np.round(draw.exponential(900, n).clip(20, 2000))
    died = (end < draw.uniform(0, 2400, n)).astype(int)
    relapse = np.minimum(np.round(draw.exponential(1200, n)) + 1, end)
    moved = np.round(draw.uniform(1, 1500, n))
    table = pd.DataFrame(
        {
            "futime": end,
            "rx": relapse,
            "rx_seen": relapse < end,
            "moved": np.where(moved < end, moved, np.nan),
        }
    )
    age = draw.integers(18, 90, n)
    return table.assign(age=age, entered=draw.uniform(0, 15, n), nodes=draw.poisson(3, n), death=died)


def test_an_event_before_the_end_of_the_follow_up_is_found_by_its_figures():
    """Never after it, and in some rows not there at all, or that end in its stead; and the flag that tells which."""
    findings = {f.column: f.evidence for f in audit_leakage(trial(), "death").findings}
    assert findings.keys() == {"futime", "rx", "rx_seen", "moved"}
    assert "before that end" in findings["moved"]
    assert "whether rx came before futime" in findings["rx_seen"]


def test_what_is_small_beside_the_follow_up_is_no_event_in_it():
    """An age in years is never more than a follow-up in days, and no event of it."""
    table = trial().assign(bmi=rng().normal(27, 4, N).round(1))
    table.loc[::3, ["age", "bmi"]] = np.nan
    assert {f.column for f in audit_leakage(table, "death").findings} == {"futime", "rx", "rx_seen", "moved"}


def test_hours_of_work_beside_a_status_of_employment_are_no_follow_up(clean):
    status = np.where(clean["started"] == 1, "promoted", "fired")
    hours = 40 + 3 * clean["severity"] + rng().normal(0, 3, N)
    assert leaks(clean.drop(columns="severity").assign(started=status, hours=hours)) == set()
    table = (
        clean.drop(columns="severity")
        .rename(columns={"started": "status"})
        .assign(hours=hours, status=status)
    )
    assert audit_leakage(table, "status", id_column="patient_id").ok
    table["status"] = table["status"].map({"promoted": "dead", "fired": "alive"})
    assert {f.column for f in audit_leakage(table, "status", id_column="patient_id").findings} == {"hours"}


def test_what_a_leak_is_measured_from_is_none(clean):
    """The time in the air is there unless the flight is cancelled; the distance of the flight always is."""
    distance = rng().uniform(100, 3000, N)
    in_air = np.where(clean["started"] == 0, distance / 8 + rng().normal(0, 3, N), np.nan)
    assert leaks(clean.assign(distance=distance, in_air=in_air)) == {("target", "in_air")}


def test_numbered_columns_are_no_interval(clean):
    table = (
        clean.drop(columns="severity")
        .rename(columns={"started": "death"})
        .assign(z10=rng().integers(0, 5, N))
    )
    table["z11"] = table["z10"] + rng().integers(0, 3, N)
    assert audit_leakage(table, "death", id_column="patient_id").ok
    timed = table.rename(columns={"z10": "time0", "z11": "time1"})
    assert {f.column for f in audit_leakage(timed, "death", id_column="patient_id").findings} == {"time1"}


def test_what_is_recorded_at_an_event_of_the_follow_up_is_found_with_it():
    """The match of a donor is there when the transplant is, and a second relapse only after a first."""
    table = trial().rename(columns={"moved": "relapse_1"})
    paths = table["relapse_1"].notna()
    again = paths & (rng().random(N) < 0.4)
    table["donor"] = pd.Series(rng().choice(["kin", "other"], N)).where(paths)
    table["relapse_2"] = (table["relapse_1"] + 1).where(again)
    table["lab"] = pd.Series(rng().normal(size=N)).where(rng().random(N) < 0.6)
    findings = {f.column for f in audit_leakage(table, "death").findings}
    assert findings == {"futime", "rx", "rx_seen", "relapse_1", "relapse_2", "donor"}


def test_the_date_of_an_entry_is_before_all_that_follows_it():
    entry = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng().integers(0, 900, N), unit="D")
    table = trial().assign(accepted=entry)
    table["moved_date"] = entry + pd.to_timedelta(table["moved"], unit="D")
    table["last_date"] = entry + pd.to_timedelta(table["futime"], unit="D")
    assert "accepted" not in {f.column for f in audit_leakage(table, "death").findings}


def test_of_two_dates_whose_distance_is_the_target_only_the_later_is_accused():
    """The day of the order is known when the delivery is not."""
    draw = np.random.default_rng(4)
    ordered = pd.Timestamp("2022-03-01") + pd.to_timedelta(draw.integers(0, 300, N), unit="D")
    took = draw.integers(1, 12, N)
    table = quantities().assign(
        ordered_on=ordered.astype(str),
        arrived_on=(ordered + pd.to_timedelta(took, unit="D")).astype(str),
        late=(took > 7).astype(int),
    )
    assert {f.column for f in audit_leakage(table, "late").findings} == {"arrived_on"}


def test_of_many_names_of_times_some_differ_by_chance_and_are_not_accused():
    """Twenty random columns that are named as times, in twenty tables: without correction a dozen alarms."""
    alarms = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        table = pd.DataFrame({f"t{i}": draw.exponential(size=200) for i in range(1, 21)})
        alarms += not audit_leakage(table.assign(death=draw.integers(0, 2, 200)), "death").ok
    assert alarms <= 3


def test_a_repeat_that_tells_more_by_chance_accuses_none_of_its_time():
    """Among sixty repeats one did in these tables, at an uncorrected level, and all sixty were accused."""
    accused = 0
    for seed in (20, 36):
        draw = np.random.default_rng(seed)
        values = draw.normal(size=(200, 60))
        later = 0.6 * values + 0.8 * draw.normal(size=values.shape)
        labs = [f"lab_{a}{b}" for a in "abcdef" for b in "ghijklmnop"]
        first = pd.DataFrame(values, columns=[f"{name}_week0" for name in labs])
        table = first.join(pd.DataFrame(later, columns=[f"{name}_week12" for name in labs]))
        accused += not audit_leakage(table.assign(y=draw.integers(0, 2, 200)), "y").ok
    assert accused == 0


def test_a_duration_that_tells_more_than_all_else_is_found_whatever_the_target_is_called():
    draw = np.random.default_rng(5)
    table = quantities().assign(subscribed=draw.integers(0, 2, N))
    table["duration"] = draw.lognormal(5, 0.8, N) * np.where(table["subscribed"], 3, 1)
    assert {f.column for f in audit_leakage(table, "subscribed").findings} == {"duration"}
    as_unit = table.rename(columns={"duration": "hours"})  # of study, of exercise
    assert audit_leakage(as_unit, "subscribed").ok


def test_amounts_that_only_one_outcome_has_are_found(clean):
    draw, started = rng(), clean["started"] == 1
    paid = started & (draw.random(N) < 0.3)
    table = clean.assign(x1=np.where(paid, draw.lognormal(3, 1, N).round(), 0))
    assert leaks(table) == {("target", "x1")}
    # seventy rows of none, by chance or by nature: a group of low risk
    spared = ~started & (draw.random(N) < 0.1)
    assert leaks(clean.assign(x1=np.where(spared, draw.integers(1, 9, N), 0))) == set()
    # a count that rises with a strong predictor has some of either outcome
    assert leaks(clean.assign(x1=draw.poisson(np.exp(clean["severity"] - 1)))) == set()


def test_what_is_named_as_after_and_differs_is_found(clean):
    draw = rng()
    given = np.where(clean["started"] == 1, draw.random(N) < 0.8, draw.random(N) < 0.2).astype(int)
    assert leaks(clean.assign(steroids_given_after=given)) == {("target", "steroids_given_after")}
    assert leaks(clean.assign(steroids_given=given)) == set()
    noise = draw.integers(0, 2, N)
    assert leaks(clean.assign(steroids_given_after=noise)) == set()
