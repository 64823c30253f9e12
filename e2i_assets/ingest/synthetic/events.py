"""Treatment events: the year before the index date, the brand's prescriptions, follow-up care."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.draws import Rng, labels, stamped
from e2i_assets.ingest.synthetic.patients import HISTORY
from e2i_assets.ingest.synthetic.profiles import Profile

LOOK_BACK = 365
"""History events fall within this many days before the index date."""
STOP_NOTED = 0.4
"""Share of the stops of therapy that are on record with the last prescription."""
CARE_STEPS = 180
"""Follow-up consultations and tests fall on one of so many even steps through the follow-up."""
SUPPLY_DAYS = 30
"""Days from one prescription of the brand to the next."""
REFILLS = 0.5
"""Mean number of further prescriptions after the first."""
CARE = {"consultation": 0.22, "lab_test": 0.14}
"""Mean number of follow-up events."""

COST = {"consultation": 180, "lab_test": 90, "procedure": 1400, "hospitalization": 11000, "diagnosis": 120,
        "prescription": 6500}  # fmt: skip
"""Median cost in USD."""
ADVERSE = {"prescription": 0.05, "hospitalization": 0.10, "consultation": 0.02}
"""Share of events with an adverse event on record."""


def draw_events(
    rng: Rng, population: pl.DataFrame, profile: Profile, brand: str, as_of: date
) -> pl.DataFrame:
    """Events of one partition without identifiers of their own, in order of journey and day.

    Args:
        population: patients with identifiers, outcomes, windows and history counts.
        as_of: day on which everything has arrived.
    """
    happened = pl.concat(
        [
            _history(rng, population),
            _prescriptions(rng, population),
            _care(rng, population),
        ]
    )
    ids = population.select("patient_journey_id", "patient_id", "hcp_id", "diagnosis_date", "latent_severity")
    placed = pl.concat([ids[happened["row"].to_numpy()], happened], how="horizontal")
    dated = placed.with_columns(event_date=pl.col("diagnosis_date") + pl.duration(days="offset"))
    return stamped(rng, _detailed(rng, dated, profile, brand), "event_date", as_of).sort(
        "patient_journey_id", "event_date", "event_type", "cost"
    )


def _frame(
    rows: np.ndarray, offset: np.ndarray, kind: str, discontinued: np.ndarray | None = None
) -> pl.DataFrame:
    stopped = np.zeros(len(rows), dtype=bool) if discontinued is None else discontinued
    return pl.DataFrame(
        {"row": rows, "offset": offset.astype(np.int64), "discontinuation_flag": stopped}
    ).with_columns(event_type=pl.lit(kind))


def _history(rng: Rng, population: pl.DataFrame) -> pl.DataFrame:
    reach = np.minimum(LOOK_BACK, population["lookback"].to_numpy())
    frames = []
    for kind in HISTORY:
        rows = np.repeat(np.arange(population.height), population[f"history_{kind}"].to_numpy())
        frames.append(_frame(rows, -rng.integers(1, reach[rows] + 1), kind))
    return pl.concat(frames)


def _prescriptions(rng: Rng, population: pl.DataFrame) -> pl.DataFrame:
    """The initiation at diagnosis + days_to_treatment, then refills while observed; some stop at the last.

    Nobody reports prescriptions of patients whose initiation is not known.
    """
    patients = np.flatnonzero(population["treatment_initiated"].fill_null(value=False).to_numpy())
    start = population["days_to_treatment"].to_numpy()[patients].astype(np.int64)
    room = (population["followup"].to_numpy()[patients] - start) // SUPPLY_DAYS
    count = 1 + np.minimum(rng.poisson(REFILLS, len(patients)), room)
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    noted = population["discontinued"].fill_null(value=False).to_numpy()[patients]
    noted &= rng.random(len(patients)) < STOP_NOTED
    stopped = (nth + 1 == np.repeat(count, count)) & np.repeat(noted, count)
    return _frame(
        np.repeat(patients, count), np.repeat(start, count) + SUPPLY_DAYS * nth, "prescription", stopped
    )


def _care(rng: Rng, population: pl.DataFrame) -> pl.DataFrame:
    followup = population["followup"].to_numpy()
    steps = np.minimum(CARE_STEPS, followup)
    frames = []
    for kind, rate in CARE.items():
        rows = np.repeat(np.arange(population.height), rng.poisson(rate, population.height))
        step = rng.integers(1, steps[rows] + 1)
        frames.append(_frame(rows, step * followup[rows] // steps[rows], kind))
    return pl.concat(frames)


def _detailed(rng: Rng, events: pl.DataFrame, profile: Profile, brand: str) -> pl.DataFrame:
    """Subtype, brand, laboratory value, supply, cost and adverse events, each where the type has them."""
    n = events.height
    test, mean, sd = profile.lab
    value = mean + sd * (0.6 * events["latent_severity"].to_numpy() + 0.8 * rng.standard_normal(n))
    kind = pl.col("event_type")
    subtypes = {
        "lab_test": test, "procedure": profile.procedure, "prescription": profile.drug_class,
        "hospitalization": "inpatient_stay", "diagnosis": "comorbidity",
    }  # fmt: skip
    visit = pl.Series(labels(rng, n, {"office_visit": 0.75, "telehealth": 0.25}))
    median = kind.replace_strict(COST, return_dtype=pl.Float64)
    adverse = kind.replace_strict(ADVERSE, default=0.0, return_dtype=pl.Float64)
    is_prescription = kind == "prescription"
    return events.with_columns(
        event_subtype=pl.when(kind == "consultation").then(visit).otherwise(kind.replace(subtypes)),
        brand=pl.when(is_prescription).then(pl.lit(brand)),
        value=pl.when(kind == "lab_test").then(pl.Series(np.round(np.maximum(value, 0.05 * mean), 2))),
        duration_days=pl.when(is_prescription).then(pl.lit(SUPPLY_DAYS)),
        cost=(median * pl.Series(np.exp(0.4 * rng.standard_normal(n)))).round(2),
        adverse_event_flag=pl.Series(rng.random(n)) < adverse,
    )
