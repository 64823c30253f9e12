"""Patients of a partition: all that is known on the index date, complete, before any outcome is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.draws import Rng, exactly, labels
from e2i_assets.ingest.synthetic.hcps import REGION_SHARES
from e2i_assets.ingest.synthetic.profiles import Profile
from e2i_assets.ingest.synthetic.spec import Calendar

HISTORY = {"consultation": (0.75, 0.30), "lab_test": (0.70, 0.30), "procedure": (0.15, 0.20),
           "hospitalization": (0.13, 0.50), "diagnosis": (0.20, 0.0)}  # fmt: skip
"""Events in the year before the index date: rate at mean severity, and its log-slope per unit of severity z.

`diagnosis` is a recorded comorbidity, so its rate follows the comorbidity count instead.
"""
HCP_FACTS = ("decile", "years_experience", "digital_engagement_score")


@dataclass(frozen=True)
class Patients:
    """Patients before their outcomes.

    Attributes:
        covariates: one row each, no missing values, no identifiers of their own.
        attributes: which columns are the partition's clinical attributes.
    """

    covariates: pl.DataFrame
    attributes: tuple[str, ...]


def draw_people(rng: Rng, profile: Profile, n: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Demographics and severity of n patients, and their latent severity z ~ N(0, 1)."""
    z = rng.standard_normal(n)
    age = np.clip(np.round(rng.normal(*profile.age, n)), 18, 90).astype(np.int64)
    minor = exactly(rng, n, profile.minors)
    age[minor] = rng.integers(5, 18, n)[minor]
    burden = 2.0 * np.exp(0.012 * (age - 50) + 0.15 * z)
    people = pl.DataFrame(
        {
            "diagnosis_code": labels(rng, n, profile.diagnosis_codes),
            "age_at_diagnosis": age,
            "gender": np.where(exactly(rng, n, profile.female), "F", "M"),
            "geographic_region": labels(rng, n, REGION_SHARES),
            "insurance_type": _insurance(rng, age),
            "disease_severity": np.round(np.clip(5 + 2 * z, 0, 10), 2),
            "comorbidity_count": np.minimum(rng.poisson(burden), 10),
            "prior_treatment_count": np.minimum(rng.poisson(1.6, n), 6),
            # The severely ill are referred to academic centres a little more often.
            "academic_hcp": rng.random(n) < 1 / (1 + np.exp(0.75 - 0.35 * z)),
        }
    )
    return people, z


def _insurance(rng: Rng, age: np.ndarray) -> np.ndarray:
    u = rng.random(len(age))
    younger = np.where(u < 0.80, "commercial", np.where(u < 0.96, "medicaid", "medicare"))
    older = np.where(u < 0.85, "medicare", np.where(u < 0.95, "commercial", "medicaid"))
    return np.where(age >= 65, older, younger)


def with_hcps(rng: Rng, people: pl.DataFrame, hcps: pl.DataFrame) -> pl.DataFrame:
    """Each patient with an HCP of their region, academic where the patient's care is; plus HCP facts.

    Adds `hcp_id`, the `HCP_FACTS` and `engagement_score`, the HCP's engagement with the brand in the year
    before diagnosis, which differs between patients of an HCP because the years do.
    """
    place = ["geographic_region", "academic_hcp"]
    pools = hcps.with_columns(academic_hcp=pl.col("practice_type") == "academic").sort(*place, "hcp_id")
    bounds = pools.with_row_index("row").group_by(place).agg(first=pl.col("row").min(), size=pl.len())
    chosen = people.join(bounds, on=place, how="left", maintain_order="left", validate="m:1")
    u = rng.random(people.height)
    row = chosen["first"].to_numpy() + np.floor(u * chosen["size"].to_numpy()).astype(np.int64)
    facts = pools.select("hcp_id", *HCP_FACTS)[row]
    appetite = 0.9 * (facts["digital_engagement_score"].to_numpy() - 0.5) / 0.19
    appetite += 0.7 * (facts["decile"].to_numpy() - 5.5) / 2.87
    engagement = 5 + appetite + 1.6 * rng.standard_normal(people.height)
    return people.hstack(facts).with_columns(engagement_score=np.round(np.clip(engagement, 0, 10), 2))


def draw_windows(rng: Rng, profile: Profile, calendar: Calendar, n: int) -> pl.DataFrame:
    """`diagnosis_date`, its `day` from the first one on, and days observed before (`lookback`) and after it
    (`followup`).

    5 % of the patients are observed too briefly before, another 5 % too briefly after the index date.
    """
    span = (calendar.last_diagnosis - calendar.first_diagnosis).days + 1
    day = rng.integers(0, span, n)
    long_before = profile.lookback_days + np.minimum(rng.exponential(400, n), 1500).astype(np.int64)
    lookback = np.where(exactly(rng, n, 0.05), rng.integers(30, profile.lookback_days, n), long_before)
    until_cut_off = (calendar.cut_off - calendar.first_diagnosis).days - day
    long_after = profile.followup_days + rng.exponential(220, n).astype(np.int64)
    followup = np.where(exactly(rng, n, 0.05), rng.integers(20, profile.followup_days, n), long_after)
    return pl.DataFrame(
        {"day": day, "lookback": lookback, "followup": np.minimum(followup, until_cut_off)}
    ).select(
        diagnosis_date=pl.lit(calendar.first_diagnosis) + pl.duration(days="day"),
        day="day",
        lookback="lookback",
        followup="followup",
    )


def draw_history(rng: Rng, people: pl.DataFrame, z: np.ndarray) -> pl.DataFrame:
    """Counts of events in the year before the index date, one column `history_<event type>` each."""
    burden = people["comorbidity_count"].to_numpy() / 2
    counts = {}
    for kind, (rate, slope) in HISTORY.items():
        mean = rate * burden if kind == "diagnosis" else rate * np.exp(slope * z - slope**2 / 2)
        counts[f"history_{kind}"] = rng.poisson(mean)
    return pl.DataFrame(counts)


def draw_patients(rng: Rng, profile: Profile, calendar: Calendar, hcps: pl.DataFrame, n: int) -> Patients:
    """The covariates of n patients, each with one of these HCPs."""
    people, z = draw_people(rng, profile, n)
    attributes = profile.attributes(rng, people, z)
    windows = draw_windows(rng, profile, calendar, n)
    history = draw_history(rng, people, z)
    covariates = with_hcps(rng, people.with_columns(**attributes), hcps).hstack(windows).hstack(history)
    return Patients(covariates.with_columns(latent_severity=z), tuple(attributes))
