"""Fail closed: the gates of the cohort."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial

import polars as pl

from e2i_assets.cohorts import CohortConfig, CohortConstructor
from e2i_assets.gates.cohort import CohortBuilt
from e2i_assets_tests.unit.fail_closed import EXCEPTION, Case, Cases

DAY = dt.date(2023, 6, 1)
CONFIG = CohortConfig(
    cohort_name="Test", brand="Testa", indication="x", minimum_size=10,
    inclusion_criteria=[{"field": "age_at_diagnosis", "operator": ">=", "value": 18}],
)  # fmt: skip
JOURNEYS = pl.DataFrame(
    {"patient_journey_id": [f"j{i}" for i in range(20)], "age_at_diagnosis": [50] * 20}
).with_columns(
    diagnosis_date=DAY,
    first_observation_date=DAY - dt.timedelta(365),
    last_observation_date=DAY + dt.timedelta(365),
)
ZONED = pl.lit(DAY).cast(pl.Datetime("us", "Asia/Tokyo"))


def built(journeys: pl.DataFrame) -> CohortBuilt:
    """As the stage makes it."""
    members, result = CohortConstructor(CONFIG).construct_cohort(journeys)
    return CohortBuilt(members, result, CONFIG.temporal_requirements, CONFIG.minimum_size)


def spoilt(change: pl.Expr | str) -> CohortBuilt:
    """Members that lost a column, or whose column is not what the engine judged."""
    good = built(JOURNEYS)
    spoil = good.members.drop if isinstance(change, str) else good.members.with_columns
    return replace(good, members=spoil(change))


def unjudged() -> CohortBuilt:
    good = built(JOURNEYS)
    return replace(good, result=replace(good.result, eligibility_log=()))


NO_DATE = pl.lit(None, pl.Date).alias("diagnosis_date")
BRIEF = JOURNEYS.head(1).with_columns(last_observation_date=DAY)
SIZE = {
    "missing column": Case(partial(built, JOURNEYS.drop("patient_journey_id")), "missing_column"),
    "missing library": Case(partial(built, JOURNEYS), "missing_library", without="ibis"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(built, JOURNEYS.head(0)), "nothing_evaluated"),
    "all-null column": Case(partial(built, JOURNEYS.with_columns(age_at_diagnosis=None)), "cohort_too_small"),
    "one row": Case(partial(built, JOURNEYS.head(1)), "cohort_too_small"),
    "wrong time zone": Case(partial(built, JOURNEYS.with_columns(diagnosis_date=ZONED)), "CC_005"),
    "nothing evaluated": Case(unjudged, "nothing_evaluated"),
}
WINDOWS = {
    "missing column": Case(partial(built, JOURNEYS.drop("last_observation_date")), "CC_002"),
    "missing library": Case(partial(built, JOURNEYS), "missing_library", without="ibis"),
    "exception inside": EXCEPTION,
    "empty input": Case(partial(built, JOURNEYS.head(0)), "nothing_evaluated"),
    "all-null column": Case(partial(spoilt, NO_DATE), "outside_window"),
    "one row": Case(partial(built, BRIEF), "nothing_evaluated"),
    "wrong time zone": Case(partial(spoilt, ZONED.alias("last_observation_date")), "not_a_date"),
    "nothing evaluated": Case(
        partial(built, JOURNEYS.with_columns(diagnosis_date=None)), "nothing_evaluated"
    ),
}
CASES: Cases = {"cohort_size": SIZE, "temporal_windows": WINDOWS}
