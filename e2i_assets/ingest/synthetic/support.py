"""What KPIs need beside the tables of journeys: references, users, sources, labels, pipelines, surveys.

Each follows the population or the calendar; none of it is read by a model.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl

from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.levels import GENERATED
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.synthetic.draws import Rng, labels, numbered
from e2i_assets.ingest.synthetic.spec import GeneratorSpec

COVERED = {"patients": 0.82, "hcps": 0.9}
"""Share of the reference that the data have, in the mean."""
DAYS = 90
"""Users, deliveries and runs are on record for so many days."""
PATIENTS_OF_A_USER = 10
"""In the data, for each user of the reports."""
SESSIONS = 6
"""Mean sessions of a user in `DAYS` days."""
ROLES = {"sales_rep": 0.6, "analyst": 0.2, "medical_liaison": 0.15, "manager": 0.05}
SOURCES = {"claims": 0.8, "ehr": 0.7, "specialty_pharmacy": 0.55}
"""Source to the share of its records that another source has too."""
LIFT = 13.0
"""Mean percentage by which stacking adds to a source alone."""
CASES_OF_PATIENTS = 25
"""Patients for each case that is labelled more than once."""
ANNOTATORS, RIGHT = 3, 0.93
"""People who label a case, and how often one gives the label that it deserves."""
LABEL_SHARES = {"responder": 0.5, "non_responder": 0.3, "unclear": 0.2}
PREFIX = {
    "reference_universe": "universe", "user_sessions": "session", "data_source_tracking": "delivery",
    "ml_annotations": "label", "etl_pipeline_metrics": "run", "hcp_intent_surveys": "survey",
}  # fmt: skip
"""How identifiers of rows begin."""
PIPELINES = ("claims_ingest", "ehr_ingest", "feature_refresh")
RELEASE_HOURS = 22.0
"""Median hours from the newest record of a run's data to the end of the run."""
RUNS = {"success": 0.94, "partial": 0.04, "failed": 0.02}
SURVEYED = 0.15
"""Share of HCPs who answer a survey, most of them twice."""
GAIN = 0.4
"""Mean change of the intent to prescribe from one survey to the next."""


def support_tables(
    spec: GeneratorSpec, population: pl.DataFrame, hcps: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """The tables, with their identifiers.

    Args:
        population: patients of all partitions, complete.
        hcps: HCPs of all partitions: `hcp_id`, `geographic_region`, `brand` and `indication`.
    """
    n, last = population.height, spec.calendar.cut_off
    frames = {
        "reference_universe": _universe(spec.rng("universe"), population, hcps, last),
        "user_sessions": _sessions(spec.rng("sessions"), n // PATIENTS_OF_A_USER, last),
        "data_source_tracking": _deliveries(spec.rng("deliveries"), n, last),
        "ml_annotations": _annotations(spec.rng("annotations"), n // CASES_OF_PATIENTS, last),
        "etl_pipeline_metrics": _runs(spec.rng("pipelines"), n, last),
        "hcp_intent_surveys": _surveys(spec.rng("surveys"), hcps, last),
    }
    return {
        table: frame.with_columns(
            numbered(PREFIX[table], 6).alias(key_of(TABLES[table])), data_source=pl.lit(GENERATED)
        )
        for table, frame in frames.items()
    }


def _universe(rng: Rng, population: pl.DataFrame, hcps: pl.DataFrame, last: date) -> pl.DataFrame:
    """Of each region what the data would be `COVERED` of, give or take."""
    by = ["brand", "indication", "geographic_region"]
    counted = pl.concat(
        frame.group_by(by).agg(known=pl.len()).with_columns(universe_type=pl.lit(kind))
        for kind, frame in (("patients", population), ("hcps", hcps))
    ).sort("universe_type", *by)
    share = counted["universe_type"].replace_strict(COVERED, return_dtype=pl.Float64)
    spread = pl.Series(np.clip(1 + 0.05 * rng.standard_normal(counted.height), 0.85, 1.1))
    return counted.with_columns(
        region="geographic_region",
        total_count=(pl.col("known") / (share * spread)).ceil().cast(pl.Int64),
        effective_date=pl.lit(last.replace(month=1, day=1)),
    )


def _moments(rng: Rng, days: np.ndarray, last: date, hours: tuple[float, float]) -> pl.Series:
    """A moment of each day, counted back from the last one, between these hours (UTC)."""
    seconds = rng.integers(int(hours[0] * 3600), int(hours[1] * 3600), len(days)) - days * 86_400
    end = datetime.combine(last, time(), UTC)
    return pl.select(
        pl.lit(end).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds=pl.lit(pl.Series(seconds)))
    ).to_series()


def _sessions(rng: Rng, users: int, last: date) -> pl.DataFrame:
    """Sessions of users, some of whom come daily and some hardly ever."""
    each = rng.poisson(rng.gamma(1.5, SESSIONS / 1.5, users))
    who = np.repeat(np.arange(1, users + 1), each)
    start = _moments(rng, rng.integers(0, DAYS, len(who)), last, (7, 19))
    length = pl.Series(np.clip(rng.lognormal(6.3, 0.8, len(who)), 20, 4 * 3600).astype(np.int64))
    role = pl.Series(labels(rng, users, ROLES))[who - 1]
    return pl.DataFrame({"number": who, "session_start": start, "user_role": role}).with_columns(
        user_id=numbered("user", 5, pl.col("number")),
        session_end=pl.col("session_start") + pl.duration(seconds=pl.lit(length)),
    ).sort("session_start", "user_id")  # fmt: skip


def _deliveries(rng: Rng, patients: int, last: date) -> pl.DataFrame:
    """A delivery of each source on each day."""
    days = np.repeat(np.arange(DAYS)[::-1], len(SOURCES))
    name = np.tile(list(SOURCES), DAYS)
    received = rng.poisson(max(patients / 50, 20), len(days)) + 1
    matched = rng.binomial(received, np.tile(list(SOURCES.values()), DAYS))
    return pl.DataFrame(
        {
            "tracking_date": [last - timedelta(int(day)) for day in days],
            "source_name": name,
            "records_received": received,
            "records_matched": matched,
            "stacking_eligible_records": rng.binomial(matched, 0.8),
            "stacking_lift_percentage": np.round(rng.normal(LIFT, 3, len(days)), 2),
        }
    )


def _annotations(rng: Rng, cases: int, last: date) -> pl.DataFrame:
    """Labels that `ANNOTATORS` people give to each case, each right with probability `RIGHT`."""
    deserved = np.repeat(labels(rng, cases, LABEL_SHARES), ANNOTATORS)
    n = len(deserved)
    case = np.repeat(np.arange(1, cases + 1), ANNOTATORS)
    given = np.where(rng.random(n) < RIGHT, deserved, rng.choice(list(LABEL_SHARES), n))
    person = np.tile(np.arange(1, ANNOTATORS + 1), cases) + ANNOTATORS * (case % 4)
    return pl.DataFrame({"case": case, "person": person, "annotation_value": given}).with_columns(
        annotation_type=pl.lit("treatment_response"),
        annotator_id=numbered("annotator", 2, pl.col("person")),
        iaa_group_id=numbered("case", 5, pl.col("case")),
        annotation_timestamp=_moments(rng, rng.integers(0, DAYS, n), last, (8, 18)),
    )  # fmt: skip


def _runs(rng: Rng, patients: int, last: date) -> pl.DataFrame:
    """A run of each pipeline on each day; half a day to two days after its newest data."""
    days = np.repeat(np.arange(DAYS)[::-1], len(PIPELINES))
    n = len(days)
    start = _moments(rng, days, last, (1, 4))
    took = pl.Series(rng.integers(600, 3 * 3600, n))
    since = (3600 * np.clip(RELEASE_HOURS * np.exp(0.35 * rng.standard_normal(n)), 4, 120)).astype(np.int64)
    status = pl.Series(labels(rng, n, RUNS))
    return pl.DataFrame(
        {"pipeline_name": np.tile(PIPELINES, DAYS), "run_start": start, "took": took, "status": status}
    ).with_columns(
        run_end=pl.col("run_start") + pl.duration(seconds="took"),
        records_processed=pl.Series(rng.poisson(max(patients / 10, 50), n)),
    ).with_columns(
        source_data_timestamp=pl.col("run_end") - pl.duration(seconds=pl.lit(pl.Series(since)))
    )  # fmt: skip


def _surveys(rng: Rng, hcps: pl.DataFrame, last: date) -> pl.DataFrame:
    """Two waves half a year apart; who answers the second answered the first, and means it a little more."""
    asked = hcps.filter(pl.Series(rng.random(hcps.height) < SURVEYED)).select("hcp_id", "brand")
    n = asked.height
    intent = rng.normal(4, 1.2, n)
    first = np.clip(np.round(intent), 1, 7).astype(np.int64)
    then = np.clip(np.round(intent + rng.normal(GAIN, 0.8, n)), 1, 7).astype(np.int64)
    again = pl.Series(rng.random(n) < 0.8)
    earlier = asked.with_columns(
        survey_date=pl.lit(last - timedelta(210)),
        intent_to_prescribe_score=pl.Series(first),
        previous_survey_id=pl.lit(None, pl.String),
    )
    later = asked.with_columns(
        survey_date=pl.lit(last - timedelta(28)),
        intent_to_prescribe_score=pl.Series(then),
        previous_survey_id=numbered(PREFIX["hcp_intent_surveys"], 6),
    )
    return pl.concat([earlier, later.filter(again)])
