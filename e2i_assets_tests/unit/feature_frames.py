"""Members, events and HCPs small enough to count by hand, and the features built from them."""

import datetime as dt

import pandas as pd
import polars as pl

from e2i_assets.cohorts import Attribute
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.patients import HcpProfiles, PatientJourneys, TreatmentEvents
from e2i_assets.features import FeatureSet, build_features

INDEX = dt.date(2023, 6, 1)


ATTRIBUTES = {
    "uas7": Attribute(dtype="integer", unit="0-42", available_at="index", description="Severity score"),
    "relapsed": Attribute(dtype="boolean", role="outcome", available_at="outcome"),
    "later_lab": Attribute(dtype="number", role="feature", available_at="lab_date"),
    "lab_date": Attribute(dtype="date"),
    "noted": Attribute(dtype="string", description="A note"),
    "remark": Attribute(dtype="string"),
    "codes": Attribute(dtype="string"),
    "hcp_decile": Attribute(dtype="integer"),
}


def frame_of(contract, **values):
    rows = len(next(iter(values.values())))
    schema = {c.name: c.dtype for c in columns(contract) if not c.json}
    return pl.DataFrame({n: pl.Series(n, values.get(n, [None] * rows), dtype=d) for n, d in schema.items()})


def members(**changes):
    """Four members, given out of order."""
    contract = {
        "patient_journey_id": ["j3", "j1", "j4", "j2"],
        "patient_id": ["p3", "p1", "p4", "p2"],
        "hcp_id": ["h1", "h1", None, "h2"],
        "diagnosis_code": ["L50.1", "L50.8", "L50.1", None],
        "diagnosis_date": [INDEX] * 4,
        "first_observation_date": [INDEX - dt.timedelta(days=400)] * 4,
        "last_observation_date": [INDEX + dt.timedelta(days=d) for d in (100, 200, 300, 400)],
        "age_at_diagnosis": [30, 40, None, 60],
        "gender": ["F"] * 4,
        "academic_hcp": [True, False, None, True],
        "hcp_engaged": [True, False, False, True],
        "treatment_initiated": [True, None, False, True],
        "days_to_treatment": [5, None, None, 40],
        "journey_stage": ["diagnosis", "maintenance", "diagnosis", "diagnosis"],
    }
    frame = frame_of(PatientJourneys, **{**contract, **changes})
    return frame.with_columns(
        uas7=pl.Series([16, 20, 24, 28]),
        relapsed=pl.Series([False, True, True, None]),
        later_lab=pl.Series([1.0, 2.0, 3.0, 4.0]),
        lab_date=pl.Series([INDEX, INDEX, INDEX, None]),
        noted=pl.Series(["x", "y", "y", "x"]),
    )


def event(number, journey, days_before, kind="lab_test", **more):
    return {
        "treatment_event_id": f"e{number}", "patient_journey_id": journey, "event_type": kind,
        "event_date": INDEX - dt.timedelta(days=days_before), "cost": 10.0, **more,
    }  # fmt: skip


EVENTS = [
    event(1, "j1", 1, value=5.0, event_subtype="ldh"),
    event(2, "j1", 180, value=1.0, event_subtype="ldh", adverse_event_flag=True),
    event(3, "j1", 181, value=99.0, event_subtype="ldh"),
    event(4, "j1", 0, value=99.0, event_subtype="ldh", adverse_event_flag=True),
    event(5, "j1", -10, "prescription", cost=500.0),
    event(6, "j2", 30, "consultation", cost=None),
    event(7, "j3", -1, value=2.0, event_subtype="only_after"),
    event(8, "j9", 5, "consultation"),
]


def events(rows=EVENTS):
    names = {c.name for c in columns(TreatmentEvents)}
    return frame_of(TreatmentEvents, **{n: [row.get(n) for row in rows] for n in sorted(names)})


def hcps(ids=("h1", "h2")):
    return frame_of(
        HcpProfiles, hcp_id=list(ids), npi=list(ids), specialty=["dermatology", "allergy"][: len(ids)],
        decile=[3, 9][: len(ids)],
    )  # fmt: skip


def build(member_frame=None, event_frame=None, hcp_frame=None, **options):
    return build_features(
        members() if member_frame is None else member_frame,
        events() if event_frame is None else event_frame,
        hcps() if hcp_frame is None else hcp_frame,
        **{
            "index_date_field": "diagnosis_date",
            "lookback_days": 180,
            "attributes": ATTRIBUTES,
            "minimum_cell_count": 1,
            **options,
        },
    )


def column(built: FeatureSet, name: str) -> list:
    return [None if pd.isna(v) else v for v in built.frame[name]]
