"""Who is treated, by whom, and what happened: HCPs, journeys and their events."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from e2i_assets.contracts.base import UTC, Table, TableFacts, column
from e2i_assets.contracts.levels import EVENT_TYPES, JOURNEY_STAGES, JOURNEY_STATUSES, REGIONS
from e2i_assets.contracts.variables import OUTCOME


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

    hcp_id: pl.String = column("Identifier of the HCP", role="id", key=True)
    npi: pl.String = column("National Provider Identifier", role="id", unique=True, nullable=True)
    specialty: pl.String = column("Medical specialty, in words", role="feature", nullable=True)
    practice_type: pl.String = column(
        "Kind of practice the HCP works in", role="feature", nullable=True,
        allowed=("academic", "community", "private"),
    )  # fmt: skip
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
        "Prescribing decile among peers, 10 is highest", role="feature", nullable=True, unit="1-10", low=1,
        high=10,
    )  # fmt: skip
    digital_engagement_score: pl.Float64 = column(
        "How much the HCP uses digital channels", role="feature", nullable=True, unit="0-1", low=0, high=1
    )
    coverage_status: pl.Boolean = column(
        "Whether the field force visits the HCP", role="feature", nullable=True
    )
    data_source: pl.String = column("Name of the source that the row came from", role="audit", nullable=True)


class PatientJourneys(Table):
    """One row per patient and indication: who, when, what is known at diagnosis, and what followed."""

    class Config(Table.Config):
        """Facts of the table."""

        name = "patient_journeys"
        metadata: ClassVar = {
            "facts": TableFacts(
                partition_by="journey",
                dated_by="diagnosis_date",
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

    patient_journey_id: pl.String = column(
        "Identifier of the journey: one patient in one indication", role="id", key=True
    )
    patient_id: pl.String = column("Patient identifier; the unit of splitting", role="id")
    hcp_id: pl.String = column(
        "HCP who treats the patient", role="id", nullable=True, references="hcp_profiles.hcp_id"
    )
    brand: pl.String = column("Brand of the partition", role="id")
    indication: pl.String = column("Indication of the partition", role="id")
    diagnosis_code: pl.String = column("ICD-10-CM code of the index diagnosis", role="feature", nullable=True)
    diagnosis_date: pl.Date = column("Date of the index diagnosis", role="time", nullable=True)
    first_observation_date: pl.Date = column("First day under observation", role="time", nullable=True)
    last_observation_date: pl.Date = column(
        "Last day under observation", role="time", available_at=OUTCOME, nullable=True
    )
    age_at_diagnosis: pl.Int64 = column(
        "Age at the index diagnosis", role="feature", nullable=True, unit="years", low=0, high=120
    )
    gender: pl.String = column(
        "Sex as recorded by the source", role="feature", nullable=True, allowed=("F", "M")
    )
    geographic_region: pl.String = column(
        "Region of residence", role="feature", nullable=True, allowed=REGIONS
    )
    insurance_type: pl.String = column(
        "Who pays for the care", role="feature", nullable=True, allowed=("commercial", "medicare", "medicaid")
    )
    disease_severity: pl.Float64 = column(
        "Clinical severity at diagnosis", role="feature", nullable=True, unit="0-10", low=0, high=10
    )
    comorbidity_count: pl.Int64 = column(
        "Comorbidities recorded before diagnosis", role="feature", nullable=True, unit="conditions", low=0
    )
    prior_treatment_count: pl.Int64 = column(
        "Lines of therapy before the index diagnosis", role="feature", nullable=True, unit="lines", low=0
    )
    academic_hcp: pl.Boolean = column(
        "Whether the patient is treated at an academic centre", role="feature", nullable=True
    )
    engagement_score: pl.Float64 = column(
        "Engagement of the treating HCP with the brand in the year before diagnosis", role="feature",
        nullable=True, unit="0-10", low=0, high=10,
    )  # fmt: skip
    hcp_engaged: pl.Boolean = column(
        "Whether the HCP took part in the brand's engagement programme before the index date",
        role="treatment", nullable=True,
    )  # fmt: skip
    treatment_initiated: pl.Boolean = column(
        "Whether the brand was initiated within the follow-up window", role="outcome", available_at=OUTCOME,
        nullable=True,
    )  # fmt: skip
    days_to_treatment: pl.Int64 = column(
        "Days from diagnosis to initiation; empty when never initiated", role="post_outcome",
        available_at=OUTCOME, nullable=True, unit="days", low=0,
    )  # fmt: skip
    # Who was not followed through the window has none of the three outcomes; who was has all that apply.
    discontinued: pl.Boolean = column(
        "Whether drug therapy, the brand or what was taken before it, was stopped within the follow-up "
        "window; empty where none was taken", role="outcome", available_at=OUTCOME, nullable=True,
        wanted_when="trx_followup IS NOT NULL AND (treatment_initiated OR prior_treatment_count > 0)",
    )  # fmt: skip
    trx_followup: pl.Int64 = column(
        "Prescriptions of the brand and of its class filled within the follow-up window (TRx)",
        role="outcome", available_at=OUTCOME, nullable=True, unit="prescriptions", low=0,
        wanted_when="lifetime_value IS NOT NULL",
    )  # fmt: skip
    lifetime_value: pl.Float64 = column(
        "Net revenue expected of the patient for life, as reckoned when the follow-up window has passed",
        role="outcome", available_at=OUTCOME, nullable=True, unit="USD", low=0,
        wanted_when="trx_followup IS NOT NULL",
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
        "Further clinical values of this partition, a JSON object; each becomes a column of the extract",
        role="feature", nullable=True, json=True,
    )  # fmt: skip
    data_source: pl.String = column("Name of the source that the row came from", role="audit", nullable=True)
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
                dated_by="event_date",
                event_time="source_timestamp",
                ingestion_time="ingestion_timestamp",
                checks={"arrives_after_source": "ingestion_timestamp >= source_timestamp"},
            )
        }

    treatment_event_id: pl.String = column("Identifier of the event", role="id", key=True)
    patient_journey_id: pl.String = column(
        "Journey that the event belongs to", role="id", references="patient_journeys.patient_journey_id"
    )
    patient_id: pl.String = column("Patient whom the event concerns", role="id")
    hcp_id: pl.String = column(
        "HCP who prescribed, ordered or saw the patient", role="id", nullable=True,
        references="hcp_profiles.hcp_id",
    )  # fmt: skip
    event_date: pl.Date = column("Day of the event", role="time", available_at="event_date")
    event_type: pl.String = column(
        "What happened, by kind", role="feature", available_at="event_date", allowed=EVENT_TYPES
    )
    event_subtype: pl.String = column(
        "What happened, finer: the test, the drug class, the kind of visit", role="feature",
        available_at="event_date", nullable=True, wanted_when="event_type IN ('prescription', 'lab_test')",
    )  # fmt: skip
    brand: pl.String = column(
        "Brand that was prescribed", role="feature", available_at="event_date", nullable=True,
        wanted_when="event_type = 'prescription'",
    )  # fmt: skip
    value: pl.Float64 = column(
        "Result of a laboratory test", role="feature", available_at="event_date", nullable=True,
        unit="unit of the test in event_subtype", wanted_when="event_type = 'lab_test'",
    )  # fmt: skip
    duration_days: pl.Int64 = column(
        "Days of supply of a prescription", role="feature", available_at="event_date", nullable=True,
        unit="days", low=0, wanted_when="event_type = 'prescription'",
    )  # fmt: skip
    cost: pl.Float64 = column(
        "Cost that was billed for the event", role="feature", available_at="event_date", nullable=True,
        unit="USD", low=0,
    )  # fmt: skip
    adverse_event_flag: pl.Boolean = column(
        "Whether an adverse event was recorded", role="feature", available_at="event_date", nullable=True
    )
    discontinuation_flag: pl.Boolean = column(
        "Whether therapy was stopped at this event", role="post_outcome", available_at="event_date",
        nullable=True,
    )  # fmt: skip
    source_timestamp: UTC = column("When the source recorded the row", role="audit")
    ingestion_timestamp: UTC = column("When the row arrived", role="audit")
