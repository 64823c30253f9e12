"""Small journeys and definitions that tests of cohorts share."""

import datetime as dt

import polars as pl

from e2i_assets.cohorts import (
    CohortConfig,
    Criterion,
)

DAY = dt.date(2023, 6, 1)


def config(inclusion=(), exclusion=(), **changes):
    return CohortConfig(
        cohort_name="Test",
        brand="Testa",
        indication="x",
        inclusion_criteria=[Criterion(field=f, operator=o, value=v) for f, o, v in inclusion],
        exclusion_criteria=[Criterion(field=f, operator=o, value=v) for f, o, v in exclusion],
        **changes,
    )


def observed(frame: pl.DataFrame, before=365, after=365) -> pl.DataFrame:
    days = {"first_observation_date": -before, "diagnosis_date": 0, "last_observation_date": after}
    return frame.with_columns(pl.lit(DAY + dt.timedelta(days=d)).alias(name) for name, d in days.items())


def journeys() -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "patient_journey_id": ["j5", "j1", "j4", "j2", "j3", "j6"],
            "age_at_diagnosis": [40, 17, None, 60, 33, 70],
            "ldh_ratio": [2.0, 2.0, 2.0, float("nan"), 1.6, 3.0],
            "pregnant": [None, False, False, False, False, True],
            "region": pl.Series(["s", "n", None, "s", "n", "s"], dtype=pl.Categorical),
        }
    )
    return observed(frame)


RULES = config(
    inclusion=[("age_at_diagnosis", ">=", 18), ("ldh_ratio", ">=", 1.5)], exclusion=[("pregnant", "==", True)]
)
