"""Small tables whose KPIs can be reckoned by hand."""

from __future__ import annotations

import datetime as dt

import polars as pl

from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.ingest.synthetic.spec import AS_OF
from e2i_assets_tests.integration.load_frames import frame

PARTITION, PNH, CSU = "fabhalta_pnh", PartitionKey("Fabhalta", "pnh"), PartitionKey("Remibrutinib", "csu")
DAY = dt.date(2025, 1, 1)
YEAR = dt.timedelta(365)
NOW = dt.datetime.combine(AS_OF, dt.time(9), dt.UTC)
STAMP = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
N = 10


def tables() -> dict[str, pl.DataFrame]:
    """Ten journeys of PNH, three of which begin the brand on day 30; j9 lacks its gender. One journey of CSU."""
    brands = ["Fabhalta"] * N + ["Remibrutinib"]
    days = [30 if i < 3 else None for i in range(N + 1)]
    return {
        "hcp_profiles": frame(
            "hcp_profiles",
            hcp_id=[f"h{i}" for i in range(4)], decile=[10, 9, 8, 1], coverage_status=[True, True, False, False],
        ),
        "patient_journeys": frame(
            "patient_journeys",
            patient_journey_id=[f"j{i}" for i in range(N + 1)], patient_id=[f"p{i}" for i in range(N + 1)],
            hcp_id=[f"h{i % 4}" for i in range(N + 1)], brand=brands, indication=["pnh"] * N + ["csu"],
            diagnosis_code=["D59.5"] * (N + 1), diagnosis_date=[DAY] * (N + 1), age_at_diagnosis=[50] * (N + 1),
            gender=["F"] * (N - 1) + [None, "F"], geographic_region=["south"] * 6 + ["west"] * 5,
            first_observation_date=[DAY] * (N + 1), last_observation_date=[DAY + dt.timedelta(200)] * (N + 1),
            treatment_initiated=[i < 3 for i in range(N + 1)], days_to_treatment=days,
            source_timestamp=[STAMP] * (N + 1),
            ingestion_timestamp=[STAMP + dt.timedelta(days=4)] * (N + 1),
        ),
        "treatment_events": frame(
            "treatment_events",
            treatment_event_id=[f"e{i}" for i in range(5)], patient_journey_id=["j0", "j0", "j1", "j2", "j3"],
            patient_id=["p0", "p0", "p1", "p2", "p3"], event_type=["prescription"] * 5,
            event_date=[DAY + dt.timedelta(days) for days in (30, 60, 30, 30, 10)],
            brand=["Fabhalta"] * 4 + ["Soliris"], source_timestamp=[STAMP] * 5, ingestion_timestamp=[STAMP] * 5,
        ),
        # j0 after its initiation, j1 and j2 before it, j3 and j4 never initiate; that of j5 never arrived.
        "triggers": frame(
            "triggers",
            trigger_id=[f"t{i}" for i in range(6)], patient_journey_id=[f"j{i}" for i in range(6)],
            patient_id=[f"p{i}" for i in range(6)], hcp_id=[f"h{i % 4}" for i in range(6)],
            trigger_date=[DAY + dt.timedelta(40 if i == 0 else 10 * i) for i in range(6)],
            trigger_type=["engagement_gap"] * 6,
            delivery_status=["delivered", "viewed", "delivered", "delivered", "delivered", "failed"],
            acceptance_status=["accepted", "accepted", "rejected", "expired", "pending", "pending"],
        ),
        # The figures of the year before stand no longer; those of the year after do not stand yet.
        "reference_universe": frame(
            "reference_universe",
            universe_id=[f"u{i}" for i in range(5)], universe_type=["patients"] * 4 + ["hcps"],
            brand=["Fabhalta"] * 5, indication=["pnh"] * 5, region=["south", "west", "south", "south", None],
            total_count=[8, 12, 999, 999, 5], effective_date=[DAY, DAY, DAY - YEAR, AS_OF + YEAR, DAY],
        ),
        # u1 today and twenty days ago, u2 six days ago, u3 two months ago.
        "user_sessions": frame(
            "user_sessions",
            session_id=[f"s{i}" for i in range(4)], user_id=["u1", "u1", "u2", "u3"],
            session_start=[NOW - dt.timedelta(days) for days in (0, 20, 6, 60)],
        ),
        "data_source_tracking": frame(
            "data_source_tracking",
            tracking_id=["d0", "d1", "d2"], source_name=["claims", "ehr", "claims"],
            tracking_date=[AS_OF, AS_OF - dt.timedelta(29), AS_OF - dt.timedelta(30)],
            records_received=[100, 300, 900], records_matched=[90, 210, 0],
            stacking_eligible_records=[10, 30, 900], stacking_lift_percentage=[20.0, 12.0, 0.0],
        ),
        # Two of three agree about g1 (one pair of three), both about g2; g3 has one label alone.
        "ml_annotations": frame(
            "ml_annotations",
            annotation_id=[f"a{i}" for i in range(6)], annotation_type=["response"] * 6,
            annotator_id=["x", "y", "z", "x", "y", "x"], annotation_value=["yes", "yes", "no", "no", "no", "no"],
            annotation_timestamp=[STAMP] * 6, iaa_group_id=["g1", "g1", "g1", "g2", "g2", "g3"],
        ),
        "etl_pipeline_metrics": frame(
            "etl_pipeline_metrics",
            pipeline_run_id=["r0", "r1", "r2", "r3"], pipeline_name=["claims"] * 4,
            run_start=[NOW - dt.timedelta(hours=1)] * 4, run_end=[NOW, NOW, NOW, None],
            source_data_timestamp=[NOW - dt.timedelta(hours=hours) for hours in (10, 40, 500, 1)],
            status=["success", "success", "failed", None],
        ),
    }  # fmt: skip
