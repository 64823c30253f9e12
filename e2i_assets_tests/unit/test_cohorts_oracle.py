"""Random criteria on random frames with nulls: the engine against a slow reader of rows."""

import datetime as dt
import math
import tempfile
from pathlib import Path

import pandas as pd
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2i_assets.cohorts import CohortConfig, CohortConstructor, Criterion

BASE = dt.date(2022, 1, 1)
DAYS = st.integers(0, 20).map(lambda n: BASE + dt.timedelta(days=n))
WORDS = st.sampled_from(["", "a", "ab", "b.", "a.b", "Ärzt", "A"])
SMALL = st.integers(-3, 3)
REAL = st.sampled_from([-1.5, 0.0, -0.0, 0.1, 1.0, 2.5, math.inf])
COLUMNS = {
    "flag": (pl.Boolean, st.booleans(), st.booleans()),
    "whole": (pl.Int64, SMALL, SMALL | st.just(1.5)),
    "narrow": (pl.UInt8, st.integers(0, 3), SMALL | st.just(300)),
    "real": (pl.Float64, REAL | st.just(math.nan), REAL.filter(math.isfinite) | SMALL),
    "word": (pl.String, WORDS, WORDS),
    "day": (pl.Date, DAYS, DAYS.map(dt.date.isoformat)),
}
SIMPLE = {"flag": ["==", "!="], "word": ["==", "!=", "contains"]}
ORDERED = ["==", "!=", ">", ">=", "<", "<=", "between"]


@st.composite
def criteria(draw):
    field = draw(st.sampled_from(sorted(COLUMNS)))
    operator = draw(st.sampled_from([*SIMPLE.get(field, ORDERED), "in", "not_in"]))
    values = COLUMNS[field][2]
    if operator in ("in", "not_in"):
        value = draw(st.lists(values, min_size=1, max_size=4))
    elif operator == "between":
        value = sorted(draw(st.tuples(values, values)))
    else:
        value = draw(values.filter(lambda v: v != "") if operator == "contains" else values)
    return Criterion(field=field, operator=operator, value=value)


@st.composite
def frames(draw):
    rows = draw(st.integers(0, 12))

    def column(values):
        return draw(st.lists(st.none() | values, min_size=rows, max_size=rows))

    data = {
        name: pl.Series(column(values), dtype=dtype, strict=False)
        for name, (dtype, values, _) in COLUMNS.items()
    }
    dates = {
        name: pl.Series(column(DAYS), dtype=pl.Date)
        for name in ("diagnosis_date", "first_observation_date", "last_observation_date")
    }
    keys = draw(st.permutations([f"j{i:02d}" for i in range(rows)]))
    return pl.DataFrame({"patient_journey_id": pl.Series(keys, dtype=pl.String), **data, **dates})


def unknown(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def met(criterion, value):
    target = criterion.value
    if isinstance(value, dt.date):
        value = value.isoformat()
    comparisons = {
        "==": lambda: value == target, "!=": lambda: value != target, ">": lambda: value > target,
        ">=": lambda: value >= target, "<": lambda: value < target, "<=": lambda: value <= target,
        "in": lambda: value in target, "not_in": lambda: value not in target,
        "between": lambda: target[0] <= value <= target[1], "contains": lambda: target in value,
    }  # fmt: skip
    return comparisons[criterion.operator]()


def window(row, start, end, days):
    a, b = row[start], row[end]
    missing = a is None or b is None
    return missing or (b - a).days < days, missing


def oracle(config, rows):
    """Ids of members, and (removed, unknown, remaining) of each step, one row at a time."""
    rules = [
        *((lambda r, c=c: (unknown(r[c.field]) or not met(c, r[c.field]), unknown(r[c.field])))
          for c in config.inclusion_criteria),
        *((lambda r, c=c: (not unknown(r[c.field]) and met(c, r[c.field]), unknown(r[c.field])))
          for c in config.exclusion_criteria),
        lambda r: (r["diagnosis_date"] is None,) * 2,
        lambda r: window(r, "first_observation_date", "diagnosis_date",
                         config.temporal_requirements.lookback_days),
        lambda r: window(r, "diagnosis_date", "last_observation_date",
                         config.temporal_requirements.followup_days),
    ]  # fmt: skip
    left, steps = list(rows), []
    for rule in rules:
        verdicts = [rule(row) for row in left]
        kept = [row for row, (failed, _) in zip(left, verdicts, strict=True) if not failed]
        steps.append((len(left) - len(kept), sum(missing for _, missing in verdicts), len(kept)))
        left = kept
    return sorted(row["patient_journey_id"] for row in left), steps


def given_as(kind, frame, folder):
    if kind == "parquet":
        frame.write_parquet(folder / "journeys.parquet")
        return folder / "journeys.parquet"
    if kind == "polars":
        return frame
    return frame.to_pandas(use_pyarrow_extension_array=kind == "pandas with Arrow types")


@given(
    kind=st.sampled_from(["polars", "pandas", "pandas with Arrow types", "parquet"]),
    frame=frames(),
    inclusion=st.lists(criteria(), max_size=3),
    exclusion=st.lists(criteria(), max_size=3),
    windows=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_engine_agrees_with_the_row_by_row_oracle(kind, frame, inclusion, exclusion, windows):
    config = CohortConfig(
        cohort_name="Random", brand="Random", indication="x",
        inclusion_criteria=inclusion, exclusion_criteria=exclusion,
        temporal_requirements={"lookback_days": windows[0], "followup_days": windows[1]},
    )  # fmt: skip
    constructor = CohortConstructor(config)
    expected = oracle(config, frame.to_dicts())
    with tempfile.TemporaryDirectory() as folder:
        journeys = given_as(kind, frame, Path(folder))
        members, result = constructor.construct_cohort(journeys)
        steps = [(e.removed_count, e.null_count, e.remaining_count) for e in result.eligibility_log]
        assert (list(members["patient_journey_id"]), steps) == expected
        if isinstance(journeys, pd.DataFrame):
            assert members.dtypes.equals(journeys.dtypes)
