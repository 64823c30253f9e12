"""The audit on whatever comes: noise is never accused, what is planted is found, nothing makes it crash."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from e2i_assets.leakage import audit_leakage, dates, name_rules

ANY_VALUE = st.one_of(
    st.none(), st.text(max_size=30), st.integers(-(10**15), 10**15), st.floats(), st.booleans(),
    st.dates(), st.lists(st.text(max_size=5), max_size=3),
)  # fmt: skip
FORMS = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d %B %Y",
    "%Y%m%d",
    "%Y-%m-%dT08:30:00+02:00",
    "%b %d, %Y",
    "on %Y/%m/%d at noon",
)


def noise(seed: int, n: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    numbers = draw.lognormal(size=n)
    return pd.DataFrame(
        {
            "number": np.where(draw.random(n) < draw.random(), np.nan, numbers),
            "count": draw.poisson(draw.uniform(0.1, 30), n),
            "site": draw.integers(0, draw.integers(2, n), n).astype(str),
            "flag": draw.random(n) < draw.uniform(0.02, 0.98),
            "days": draw.integers(0, 400, n),
            "kind": draw.choice(["a", "b", None], n),
            "converted": (draw.random(n) < draw.uniform(0.3, 0.7)).astype(int),
        }
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(120, 1500))
def test_noise_is_never_accused(seed: int, n: int) -> None:
    table = noise(seed, n)
    train, test = table.iloc[: n * 2 // 3], table.iloc[n * 2 // 3 :]
    assert audit_leakage(train, "converted", other_splits={"test": test}).findings == ()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(300, 1500), wrong=st.floats(0, 0.02))
def test_the_outcome_in_disguise_is_found(seed: int, n: int, wrong: float) -> None:
    table = noise(seed, n)
    draw = np.random.default_rng(seed)
    answer = np.where(draw.random(n) < wrong, 1 - table["converted"], table["converted"])
    assume((answer != table["converted"]).mean() <= 0.025)  # chance may bring more
    words = np.array(["lapsed", "active"])[answer]
    findings = {f.column for f in audit_leakage(table.assign(segment=words), "converted").findings}
    assert findings == {"segment"}


@settings(max_examples=60, deadline=None)
@given(
    days=st.lists(st.dates(dt.date(1990, 1, 1), dt.date(2039, 12, 31)), min_size=1, max_size=20),
    form=st.sampled_from(FORMS),
)
def test_a_date_is_read_in_any_form(days: list[dt.date], form: str) -> None:
    dates_read = dates.read(pd.Series([day.strftime(form) for day in days], name="seen"))
    assert dates_read is not None
    assert dates_read.wall.dt.date.tolist() == days
    assert (dates_read.instant is not None) == ("+02:00" in form)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(ANY_VALUE, min_size=1, max_size=12), name=st.text(max_size=20))
def test_no_value_and_no_name_make_it_crash(values: list[object], name: str) -> None:
    dates_read = dates.read(pd.Series(values, name=name, dtype=object))
    assert dates_read is None or len(dates_read.wall) == len(values)
    name_rules.meaning_of(name)
    name_rules.is_survival_target(name)
    name_rules.not_before(name, name[::-1])
    name_rules.repeated_measures([name, name + "0", name + "12"])
