"""Small contract-valid raw extracts of one partition, as quality control gets them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.levels import (
    EVENT_TYPES,
    JOURNEY_STAGES,
    JOURNEY_STATUSES,
    PREDICTION_TYPES,
    PRIORITIES,
    REGIONS,
)
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Attribute, AttributeType
from e2i_assets.quality import QualityConfig
from e2i_assets.settings import config_dir


def declared(dtype: AttributeType) -> Attribute:
    return Attribute(dtype=dtype, available_at="index")


ATTRIBUTES = {
    "uas7": declared("integer"),
    "ige_level": declared("number"),
    "pregnancy_status": declared("boolean"),
    "biopsy_date": declared("date"),
    "subtype": declared("string"),
}

_T0 = datetime(2024, 3, 1, tzinfo=UTC)


def clean_tables(journeys: int = 200, seed: int = 7) -> dict[str, pl.DataFrame]:
    """All seven tables, every rule kept, no nulls where the contract wants a value."""
    rng = np.random.default_rng(seed)
    hcps = max(journeys // 5, 2)
    built = {
        "hcp_profiles": _hcps(hcps, rng),
        "patient_journeys": _journeys(journeys, hcps, rng),
        "treatment_events": _events(journeys, rng),
        "ml_predictions": _predictions(journeys, rng),
        "triggers": _triggers(journeys, rng),
        "business_metrics": _metrics(rng),
        "causal_paths": _paths(rng),
    }
    return {name: _typed(name, frame) for name, frame in built.items()}


def _typed(name: str, data: dict[str, object]) -> pl.DataFrame:
    """In contract order and types; attribute columns follow."""
    wanted = {c.name: c.dtype for c in columns(TABLES[name]) if not c.json}
    frame = pl.DataFrame(data)
    return frame.select(*[pl.col(c).cast(d) for c, d in wanted.items()], pl.exclude(list(wanted)))


def _pick(rng: np.random.Generator, values: tuple[str, ...], n: int) -> list[str]:
    return rng.choice(np.array(values, dtype=object), n).tolist()


def _days(rng: np.random.Generator, n: int, low: int, high: int, start: date) -> list[date]:
    return [start + timedelta(days=int(d)) for d in rng.integers(low, high, n)]


def _times(rng: np.random.Generator, n: int) -> dict[str, list[datetime]]:
    source = [_T0 + timedelta(minutes=int(m)) for m in rng.integers(0, 100_000, n)]
    return {
        "source_timestamp": source,
        "ingestion_timestamp": [
            s + timedelta(days=int(d)) for s, d in zip(source, rng.integers(0, 20, n), strict=True)
        ],
    }


def _hcps(n: int, rng: np.random.Generator) -> dict[str, object]:
    return {
        "hcp_id": [f"h{i}" for i in range(n)],
        "npi": [None if i % 10 == 0 else f"{i:010d}" for i in range(n)],
        "specialty": _pick(rng, ("dermatology", "hematology"), n),
        "practice_type": _pick(rng, ("academic", "community", "private"), n),
        "geographic_region": _pick(rng, REGIONS, n),
        "years_experience": rng.integers(0, 40, n),
        "total_patient_volume": rng.integers(10, 4000, n),
        "decile": rng.integers(1, 11, n),
        "digital_engagement_score": rng.random(n),
        "coverage_status": rng.random(n) < 0.7,
        "data_source": ["test"] * n,
    }


def _journeys(n: int, hcps: int, rng: np.random.Generator) -> dict[str, object]:
    diagnosed = _days(rng, n, 0, 365, date(2022, 6, 1))
    started = rng.random(n) < 0.4
    later = np.random.default_rng(1)
    return {
        "patient_journey_id": [f"j{i}" for i in range(n)],
        "patient_id": [f"p{i}" for i in range(n)],
        "hcp_id": [f"h{i}" for i in rng.integers(0, hcps, n)],
        "brand": ["Remibrutinib"] * n,
        "indication": ["csu"] * n,
        "diagnosis_code": ["L50.1"] * n,
        "diagnosis_date": diagnosed,
        "first_observation_date": [d - timedelta(days=200) for d in diagnosed],
        "last_observation_date": [d + timedelta(days=200) for d in diagnosed],
        "age_at_diagnosis": rng.integers(18, 90, n),
        "gender": _pick(rng, ("F", "M"), n),
        "geographic_region": _pick(rng, REGIONS, n),
        "insurance_type": _pick(rng, ("commercial", "medicare", "medicaid"), n),
        "disease_severity": rng.uniform(0, 10, n),
        "comorbidity_count": rng.integers(0, 6, n),
        "prior_treatment_count": rng.integers(0, 4, n),
        "academic_hcp": rng.random(n) < 0.3,
        "engagement_score": rng.uniform(0, 10, n),
        "hcp_engaged": rng.random(n) < 0.5,
        "treatment_initiated": started,
        "days_to_treatment": [
            int(d) if s else None for d, s in zip(rng.integers(1, 90, n), started, strict=True)
        ],
        "discontinued": later.random(n) < 0.3,
        "trx_followup": later.poisson(6, n),
        "lifetime_value": later.uniform(1e4, 1e6, n),
        "journey_stage": _pick(rng, JOURNEY_STAGES, n),
        "journey_status": _pick(rng, JOURNEY_STATUSES, n),
        "data_source": ["test"] * n,
        **_times(rng, n),
        "uas7": rng.integers(0, 43, n),
        "ige_level": rng.uniform(1, 900, n),
        "pregnancy_status": rng.random(n) < 0.02,
        "biopsy_date": _days(rng, n, -300, -1, date(2022, 6, 1)),
        "subtype": _pick(rng, ("a", "b"), n),
    }


def _of_journeys(n: int, journeys: int, rng: np.random.Generator) -> dict[str, object]:
    picked = rng.integers(0, journeys, n)
    hcps = max(journeys // 5, 2)
    return {
        "patient_journey_id": [f"j{i}" for i in picked],
        "patient_id": [f"p{i}" for i in picked],
        "hcp_id": [f"h{i}" for i in rng.integers(0, hcps, n)],
    }


def _events(journeys: int, rng: np.random.Generator) -> dict[str, object]:
    n = 3 * journeys
    kind = _pick(rng, EVENT_TYPES, n)
    drug, lab = [k == "prescription" for k in kind], [k == "lab_test" for k in kind]
    return {
        "treatment_event_id": [f"e{i}" for i in range(n)],
        **_of_journeys(n, journeys, rng),
        "event_date": _days(rng, n, 0, 400, date(2022, 1, 1)),
        "event_type": kind,
        "event_subtype": ["detail" if d or x else None for d, x in zip(drug, lab, strict=True)],
        "brand": ["Remibrutinib" if d else None for d in drug],
        "value": [float(v) if x else None for v, x in zip(rng.random(n), lab, strict=True)],
        "duration_days": [30 if d else None for d in drug],
        "cost": rng.uniform(10, 900, n),
        "adverse_event_flag": rng.random(n) < 0.05,
        "discontinuation_flag": [
            bool(f) if d else None for d, f in zip(drug, rng.random(n) < 0.1, strict=True)
        ],
        **_times(rng, n),
    }


def _predictions(journeys: int, rng: np.random.Generator) -> dict[str, object]:
    n = journeys
    return {
        "prediction_id": [f"m{i}" for i in range(n)],
        **_of_journeys(n, journeys, rng),
        "model_version": ["v1"] * n,
        "prediction_type": _pick(rng, PREDICTION_TYPES, n),
        "prediction_timestamp": _times(rng, n)["source_timestamp"],
        "prediction_value": rng.random(n),
        "confidence_score": rng.random(n),
    }


def _triggers(journeys: int, rng: np.random.Generator) -> dict[str, object]:
    n = journeys
    raised = _days(rng, n, 0, 300, date(2022, 7, 1))
    return {
        "trigger_id": [f"t{i}" for i in range(n)],
        **_of_journeys(n, journeys, rng),
        "trigger_date": raised,
        "trigger_type": _pick(rng, ("visit", "call"), n),
        "priority": _pick(rng, PRIORITIES, n),
        "confidence_score": rng.random(n),
        "lead_time_days": rng.integers(1, 60, n),
        "expiration_date": [d + timedelta(days=30) for d in raised],
        "delivery_channel": _pick(rng, ("email", "crm"), n),
        "delivery_status": _pick(rng, ("pending", "delivered", "viewed", "failed"), n),
        "acceptance_status": _pick(rng, ("pending", "accepted", "rejected", "expired"), n),
        "outcome_value": rng.random(n),
    }


def _metrics(rng: np.random.Generator) -> dict[str, object]:
    months = [date(2023, m, 1) for m in range(1, 13)]
    rows = [(m, r) for m in months for r in REGIONS]
    n = len(rows)
    return {
        "metric_id": [f"b{i}" for i in range(n)],
        "metric_date": [m for m, _ in rows],
        "metric_name": ["TRx"] * n,
        "brand": ["Remibrutinib"] * n,
        "region": [r for _, r in rows],
        "value": rng.uniform(10, 100, n),
        "target": rng.uniform(10, 100, n),
        "achievement_rate": rng.uniform(0.5, 1.5, n),
        "sample_size": rng.integers(10, 100, n),
        "data_source": ["test"] * n,
    }


def _paths(rng: np.random.Generator) -> dict[str, object]:
    n = 12
    return {
        "path_id": [f"c{i}" for i in range(n)],
        "brand": ["Remibrutinib"] * n,
        "discovery_date": _days(rng, n, 0, 100, date(2023, 1, 1)),
        "source_node": ["hcp_engaged"] * n,
        "target_node": ["treatment_initiated"] * n,
        "path_length": rng.integers(1, 5, n),
        "causal_effect_size": rng.uniform(-1, 1, n),
        "confidence_level": rng.random(n),
        "method_used": ["dml"] * n,
        "data_source": ["test"] * n,
    }


def quality_config(*suites: str) -> QualityConfig:
    """The reviewed settings with these suites only; one small suite keeps a test short."""
    whole = QualityConfig.from_yaml(config_dir() / "quality.yaml")
    return whole.model_copy(update={"suites": tuple(s for s in whole.suites if s.suite in suites)})
