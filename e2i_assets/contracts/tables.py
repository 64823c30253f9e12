"""The seven data tables, and their order for loading (parents first)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import polars as pl

from e2i_assets.contracts.base import OUTCOME, Table, TableFacts, column

UTC = Annotated[pl.Datetime, "us", "UTC"]

REGIONS = ("northeast", "south", "midwest", "west")
PRIORITIES = ("critical", "high", "medium", "low")
JOURNEY_STAGES = (
    "diagnosis", "initial_treatment", "treatment_optimization", "maintenance", "treatment_switch",
)  # fmt: skip
JOURNEY_STATUSES = ("active", "stable", "transitioning", "completed")
EVENT_TYPES = ("diagnosis", "prescription", "lab_test", "procedure", "consultation", "hospitalization")
PREDICTION_TYPES = ("trigger", "propensity", "risk", "churn", "next_best_action")
DELIVERY_STATUSES = ("pending", "delivered", "viewed", "failed")
ACCEPTANCE_STATUSES = ("pending", "accepted", "rejected", "expired")


class HcpProfiles(Table):
    """Health care professionals; one row per HCP."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "hcp_profiles"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey_hcp",
            )
        }

    hcp_id: pl.String = column("HCP identifier", role="id", key=True)
    npi: pl.String = column("National Provider Identifier", role="id", unique=True, nullable=True)
    specialty: pl.String = column("Medical specialty", role="feature", nullable=True)
    practice_type: pl.String = column(
        "Kind of practice", role="feature", nullable=True, allowed=("academic", "community", "private")
    )
    geographic_region: pl.String = column(
        "Region of practice", role="feature", nullable=True, allowed=REGIONS
    )
    years_experience: pl.Int64 = column(
        "Years in practice", role="feature", nullable=True, unit="years", low=0, high=70
    )
    total_patient_volume: pl.Int64 = column(
        "Patients under care in a year", role="feature", nullable=True, unit="patients", low=0
    )
    decile: pl.Int64 = column(
        "Prescribing decile, 10 is highest", role="feature", nullable=True, low=1, high=10
    )
    digital_engagement_score: pl.Float64 = column(
        "Use of digital channels", role="feature", nullable=True, unit="0-1", low=0, high=1
    )
    coverage_status: pl.Boolean = column("Covered by the field force", role="feature", nullable=True)


class PatientJourneys(Table):
    """One row per patient and indication: who, when, what is known at diagnosis, and what followed."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "patient_journeys"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
                event_time="source_timestamp",
                ingestion_time="ingestion_timestamp",
                checks={
                    "observation_in_order": "first_observation_date <= last_observation_date",
                    "diagnosis_observed": "diagnosis_date >= first_observation_date "
                    "AND diagnosis_date <= last_observation_date",
                    "arrives_after_source": "ingestion_timestamp >= source_timestamp",
                },
            )
        }

    patient_journey_id: pl.String = column("Journey identifier", role="id", key=True)
    patient_id: pl.String = column("Patient identifier; the unit of splitting", role="id")
    hcp_id: pl.String = column("Treating HCP", role="id", nullable=True, references="hcp_profiles.hcp_id")
    brand: pl.String = column("Brand of the programme", role="id")
    indication: pl.String = column("Indication of the programme", role="id")
    diagnosis_code: pl.String = column("ICD-10-CM code of the index diagnosis", role="feature", nullable=True)
    diagnosis_date: pl.Date = column("Date of the index diagnosis", role="time", nullable=True)
    first_observation_date: pl.Date = column("First day under observation", role="time")
    last_observation_date: pl.Date = column("Last day under observation", role="time", available_at=OUTCOME)
    age_at_diagnosis: pl.Int64 = column(
        "Age at the index diagnosis", role="feature", nullable=True, unit="years", low=0, high=120
    )
    gender: pl.String = column("Recorded sex", role="feature", nullable=True, allowed=("F", "M"))
    geographic_region: pl.String = column(
        "Region of residence", role="feature", nullable=True, allowed=REGIONS
    )
    insurance_type: pl.String = column(
        "Payer", role="feature", nullable=True, allowed=("commercial", "medicare", "medicaid")
    )
    disease_severity: pl.Float64 = column(
        "Clinical severity at diagnosis", role="feature", nullable=True, unit="0-10", low=0, high=10
    )
    comorbidity_count: pl.Int64 = column(
        "Comorbidities recorded before diagnosis", role="feature", nullable=True, unit="conditions", low=0
    )
    prior_treatment_count: pl.Int64 = column(
        "Earlier lines of therapy", role="feature", nullable=True, unit="lines", low=0
    )
    academic_hcp: pl.Boolean = column("Treated at an academic centre", role="feature", nullable=True)
    engagement_score: pl.Float64 = column(
        "Engagement of the treating HCP with the brand in the year before diagnosis",
        role="feature", nullable=True, unit="0-10", low=0, high=10,
    )  # fmt: skip
    hcp_engaged: pl.Boolean = column(
        "The HCP took part in the brand's engagement programme before the index date",
        role="treatment", nullable=True,
    )  # fmt: skip
    treatment_initiated: pl.Boolean = column(
        "The brand was initiated within the follow-up window",
        role="outcome", available_at=OUTCOME, nullable=True,
    )  # fmt: skip
    days_to_treatment: pl.Int64 = column(
        "Days from diagnosis to initiation; empty when never initiated",
        role="post_outcome", available_at=OUTCOME, nullable=True, unit="days", low=0,
    )  # fmt: skip
    journey_stage: pl.String = column(
        "Stage at the end of observation", role="post_outcome", available_at=OUTCOME, nullable=True,
        allowed=JOURNEY_STAGES,
    )  # fmt: skip
    journey_status: pl.String = column(
        "Status at the end of observation", role="post_outcome", available_at=OUTCOME, nullable=True,
        allowed=JOURNEY_STATUSES,
    )  # fmt: skip
    clinical_attributes: pl.String = column(
        "Further clinical values of this programme, a JSON object; each becomes a column of the extract",
        role="feature", nullable=True, json=True,
    )  # fmt: skip
    data_source: pl.String = column("Where the row came from", role="audit", nullable=True)
    source_timestamp: UTC = column("When the source recorded the row", role="audit")
    ingestion_timestamp: UTC = column("When the row arrived", role="audit")


class TreatmentEvents(Table):
    """Dated events of a journey: prescriptions, laboratory tests, visits."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "treatment_events"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
                event_time="source_timestamp",
                ingestion_time="ingestion_timestamp",
                checks={"arrives_after_source": "ingestion_timestamp >= source_timestamp"},
            )
        }

    treatment_event_id: pl.String = column("Event identifier", role="id", key=True)
    patient_journey_id: pl.String = column(
        "Journey of the event", role="id", references="patient_journeys.patient_journey_id"
    )
    patient_id: pl.String = column("Patient of the event", role="id")
    hcp_id: pl.String = column("HCP of the event", role="id", nullable=True, references="hcp_profiles.hcp_id")
    event_date: pl.Date = column("Day of the event", role="time", available_at="event_date")
    event_type: pl.String = column(
        "Kind of event", role="feature", available_at="event_date", allowed=EVENT_TYPES
    )
    event_subtype: pl.String = column(
        "Kind of event, finer: the test, the drug class", role="feature", available_at="event_date",
        nullable=True,
    )  # fmt: skip
    brand: pl.String = column(
        "Brand of a prescription", role="feature", available_at="event_date", nullable=True
    )
    value: pl.Float64 = column(
        "Result of a laboratory test", role="feature", available_at="event_date", nullable=True
    )
    duration_days: pl.Int64 = column(
        "Days of supply of a prescription", role="feature", available_at="event_date", nullable=True,
        unit="days", low=0,
    )  # fmt: skip
    cost: pl.Float64 = column(
        "Billed cost", role="feature", available_at="event_date", nullable=True, unit="USD", low=0
    )
    adverse_event_flag: pl.Boolean = column(
        "An adverse event was recorded", role="feature", available_at="event_date", nullable=True
    )
    discontinuation_flag: pl.Boolean = column(
        "Therapy was stopped at this event", role="post_outcome", available_at="event_date", nullable=True
    )
    source_timestamp: UTC = column("When the source recorded the row", role="audit")
    ingestion_timestamp: UTC = column("When the row arrived", role="audit")


class MlPredictions(Table):
    """Scores that earlier models gave to a journey."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "ml_predictions"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
            )
        }

    prediction_id: pl.String = column("Prediction identifier", role="id", key=True)
    patient_journey_id: pl.String = column(
        "Journey that was scored", role="id", references="patient_journeys.patient_journey_id"
    )
    patient_id: pl.String = column("Patient that was scored", role="id")
    hcp_id: pl.String = column("HCP concerned", role="id", nullable=True, references="hcp_profiles.hcp_id")
    model_version: pl.String = column("Version of the scoring model", role="audit", nullable=True)
    prediction_type: pl.String = column(
        "What was predicted", role="feature", available_at="prediction_timestamp", allowed=PREDICTION_TYPES
    )
    prediction_timestamp: UTC = column("When it was scored", role="time", available_at="prediction_timestamp")
    prediction_value: pl.Float64 = column(
        "Score", role="feature", available_at="prediction_timestamp", nullable=True, unit="0-1", low=0, high=1
    )
    confidence_score: pl.Float64 = column(
        "Confidence in the score", role="feature", available_at="prediction_timestamp", nullable=True,
        unit="0-1", low=0, high=1,
    )  # fmt: skip


class Triggers(Table):
    """Suggestions sent to the field force about a journey, and what became of them."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "triggers"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
                checks={"expires_after_sent": "expiration_date IS NULL OR expiration_date >= trigger_date"},
            )
        }

    trigger_id: pl.String = column("Trigger identifier", role="id", key=True)
    patient_journey_id: pl.String = column(
        "Journey concerned", role="id", references="patient_journeys.patient_journey_id"
    )
    patient_id: pl.String = column("Patient concerned", role="id")
    hcp_id: pl.String = column("HCP addressed", role="id", nullable=True, references="hcp_profiles.hcp_id")
    trigger_date: pl.Date = column("Day it was raised", role="time", available_at="trigger_date")
    trigger_type: pl.String = column("Kind of suggestion", role="feature", available_at="trigger_date")
    priority: pl.String = column(
        "Priority", role="feature", available_at="trigger_date", nullable=True, allowed=PRIORITIES
    )
    confidence_score: pl.Float64 = column(
        "Confidence", role="feature", available_at="trigger_date", nullable=True, unit="0-1", low=0, high=1
    )
    lead_time_days: pl.Int64 = column(
        "Days given to act", role="feature", available_at="trigger_date", nullable=True, unit="days", low=0
    )
    expiration_date: pl.Date = column(
        "Last day to act", role="time", available_at="trigger_date", nullable=True
    )
    delivery_channel: pl.String = column(
        "Channel", role="feature", available_at="trigger_date", nullable=True
    )
    delivery_status: pl.String = column(
        "Whether it arrived", role="post_outcome", available_at=OUTCOME, nullable=True,
        allowed=DELIVERY_STATUSES,
    )  # fmt: skip
    acceptance_status: pl.String = column(
        "What the field force did", role="post_outcome", available_at=OUTCOME, nullable=True,
        allowed=ACCEPTANCE_STATUSES,
    )  # fmt: skip
    outcome_value: pl.Float64 = column(
        "Value realised", role="post_outcome", available_at=OUTCOME, nullable=True, unit="0-1", low=0, high=1
    )


class BusinessMetrics(Table):
    """Monthly figures of a brand in a region."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "business_metrics"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="brand",
            )
        }

    metric_id: pl.String = column("Metric identifier", role="id", key=True)
    metric_date: pl.Date = column("First day of the month", role="time", available_at="metric_date")
    metric_name: pl.String = column("Name of the figure", role="feature", available_at="metric_date")
    brand: pl.String = column("Brand", role="id")
    region: pl.String = column("Region", role="feature", nullable=True, allowed=REGIONS)
    value: pl.Float64 = column("Figure", role="feature", available_at="metric_date", nullable=True, low=0)
    target: pl.Float64 = column(
        "Planned figure", role="feature", available_at="metric_date", nullable=True, low=0
    )
    achievement_rate: pl.Float64 = column(
        "Figure over plan", role="feature", available_at="metric_date", nullable=True, low=0
    )
    sample_size: pl.Int64 = column("Observations behind the figure", role="audit", nullable=True, low=0)


class CausalPaths(Table):
    """Causal findings on record: which node moves which, and how strongly."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "causal_paths"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="brand",
            )
        }

    path_id: pl.String = column("Path identifier", role="id", key=True)
    brand: pl.String = column("Brand", role="id")
    discovery_date: pl.Date = column("Day of the finding", role="time", available_at="discovery_date")
    source_node: pl.String = column("Cause", role="feature", available_at="discovery_date")
    target_node: pl.String = column("Effect", role="feature", available_at="discovery_date")
    path_length: pl.Int64 = column(
        "Edges of the path", role="feature", available_at="discovery_date", nullable=True, low=1
    )
    causal_effect_size: pl.Float64 = column(
        "Effect strength", role="feature", available_at="discovery_date", nullable=True, low=-1, high=1
    )
    confidence_level: pl.Float64 = column(
        "Confidence", role="feature", available_at="discovery_date", nullable=True, unit="0-1", low=0, high=1
    )
    method_used: pl.String = column("Estimator", role="audit", nullable=True)


TABLES: dict[str, type[Table]] = {
    "hcp_profiles": HcpProfiles,
    "patient_journeys": PatientJourneys,
    "treatment_events": TreatmentEvents,
    "ml_predictions": MlPredictions,
    "triggers": Triggers,
    "business_metrics": BusinessMetrics,
    "causal_paths": CausalPaths,
}
"""Table name to contract, parents before children."""
