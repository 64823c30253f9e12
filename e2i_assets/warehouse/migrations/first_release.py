"""The tables of sources as they were first released; a part of revision 0001, and as little to be edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


def create_source_tables() -> None:
    """Make the tables that loads fill, with their keys, checks and indexes."""
    op.create_table(
        "business_metrics",
        sa.Column("metric_id", sa.Text(), nullable=False, comment="Metric identifier"),
        sa.Column("metric_date", sa.Date(), nullable=False, comment="First day of the month"),
        sa.Column("metric_name", sa.Text(), nullable=False, comment="Name of the figure"),
        sa.Column("brand", sa.Text(), nullable=False, comment="Brand"),
        sa.Column("region", sa.Text(), nullable=True, comment="Region"),
        sa.Column("value", sa.Double(), nullable=True, comment="Figure"),
        sa.Column("target", sa.Double(), nullable=True, comment="Planned figure"),
        sa.Column("achievement_rate", sa.Double(), nullable=True, comment="Figure over plan"),
        sa.Column("sample_size", sa.BigInteger(), nullable=True, comment="Observations behind the figure"),
        sa.CheckConstraint(
            "region IN ('northeast', 'south', 'midwest', 'west')", name="business_metrics_region_allowed"
        ),
        sa.CheckConstraint("achievement_rate >= 0", name="business_metrics_achievement_rate_low"),
        sa.CheckConstraint("sample_size >= 0", name="business_metrics_sample_size_low"),
        sa.CheckConstraint("target >= 0", name="business_metrics_target_low"),
        sa.CheckConstraint("value >= 0", name="business_metrics_value_low"),
        sa.PrimaryKeyConstraint("metric_id"),
        schema="e2i",
        comment="Monthly figures of a brand in a region.",
    )
    op.create_table(
        "causal_paths",
        sa.Column("path_id", sa.Text(), nullable=False, comment="Path identifier"),
        sa.Column("brand", sa.Text(), nullable=False, comment="Brand"),
        sa.Column("discovery_date", sa.Date(), nullable=False, comment="Day of the finding"),
        sa.Column("source_node", sa.Text(), nullable=False, comment="Cause"),
        sa.Column("target_node", sa.Text(), nullable=False, comment="Effect"),
        sa.Column("path_length", sa.BigInteger(), nullable=True, comment="Edges of the path"),
        sa.Column("causal_effect_size", sa.Double(), nullable=True, comment="Effect strength"),
        sa.Column("confidence_level", sa.Double(), nullable=True, comment="Confidence"),
        sa.Column("method_used", sa.Text(), nullable=True, comment="Estimator"),
        sa.CheckConstraint("causal_effect_size <= 1", name="causal_paths_causal_effect_size_high"),
        sa.CheckConstraint("causal_effect_size >= -1", name="causal_paths_causal_effect_size_low"),
        sa.CheckConstraint("confidence_level <= 1", name="causal_paths_confidence_level_high"),
        sa.CheckConstraint("confidence_level >= 0", name="causal_paths_confidence_level_low"),
        sa.CheckConstraint("path_length >= 1", name="causal_paths_path_length_low"),
        sa.PrimaryKeyConstraint("path_id"),
        schema="e2i",
        comment="Causal findings on record: which node moves which, and how strongly.",
    )
    op.create_table(
        "hcp_profiles",
        sa.Column("hcp_id", sa.Text(), nullable=False, comment="HCP identifier"),
        sa.Column("npi", sa.Text(), nullable=True, comment="National Provider Identifier"),
        sa.Column("specialty", sa.Text(), nullable=True, comment="Medical specialty"),
        sa.Column("practice_type", sa.Text(), nullable=True, comment="Kind of practice"),
        sa.Column("geographic_region", sa.Text(), nullable=True, comment="Region of practice"),
        sa.Column("years_experience", sa.BigInteger(), nullable=True, comment="Years in practice"),
        sa.Column(
            "total_patient_volume", sa.BigInteger(), nullable=True, comment="Patients under care in a year"
        ),
        sa.Column("decile", sa.BigInteger(), nullable=True, comment="Prescribing decile, 10 is highest"),
        sa.Column("digital_engagement_score", sa.Double(), nullable=True, comment="Use of digital channels"),
        sa.Column("coverage_status", sa.Boolean(), nullable=True, comment="Covered by the field force"),
        sa.CheckConstraint(
            "geographic_region IN ('northeast', 'south', 'midwest', 'west')",
            name="hcp_profiles_geographic_region_allowed",
        ),
        sa.CheckConstraint(
            "practice_type IN ('academic', 'community', 'private')", name="hcp_profiles_practice_type_allowed"
        ),
        sa.CheckConstraint("decile <= 10", name="hcp_profiles_decile_high"),
        sa.CheckConstraint("decile >= 1", name="hcp_profiles_decile_low"),
        sa.CheckConstraint(
            "digital_engagement_score <= 1", name="hcp_profiles_digital_engagement_score_high"
        ),
        sa.CheckConstraint("digital_engagement_score >= 0", name="hcp_profiles_digital_engagement_score_low"),
        sa.CheckConstraint("total_patient_volume >= 0", name="hcp_profiles_total_patient_volume_low"),
        sa.CheckConstraint("years_experience <= 70", name="hcp_profiles_years_experience_high"),
        sa.CheckConstraint("years_experience >= 0", name="hcp_profiles_years_experience_low"),
        sa.PrimaryKeyConstraint("hcp_id"),
        sa.UniqueConstraint("npi"),
        schema="e2i",
        comment="Health care professionals; one row per HCP.",
    )
    op.create_table(
        "patient_journeys",
        sa.Column("patient_journey_id", sa.Text(), nullable=False, comment="Journey identifier"),
        sa.Column(
            "patient_id", sa.Text(), nullable=False, comment="Patient identifier; the unit of splitting"
        ),
        sa.Column("hcp_id", sa.Text(), nullable=True, comment="Treating HCP"),
        sa.Column("brand", sa.Text(), nullable=False, comment="Brand of the programme"),
        sa.Column("indication", sa.Text(), nullable=False, comment="Indication of the programme"),
        sa.Column(
            "diagnosis_code", sa.Text(), nullable=True, comment="ICD-10-CM code of the index diagnosis"
        ),
        sa.Column("diagnosis_date", sa.Date(), nullable=True, comment="Date of the index diagnosis"),
        sa.Column("first_observation_date", sa.Date(), nullable=False, comment="First day under observation"),
        sa.Column("last_observation_date", sa.Date(), nullable=False, comment="Last day under observation"),
        sa.Column("age_at_diagnosis", sa.BigInteger(), nullable=True, comment="Age at the index diagnosis"),
        sa.Column("gender", sa.Text(), nullable=True, comment="Recorded sex"),
        sa.Column("geographic_region", sa.Text(), nullable=True, comment="Region of residence"),
        sa.Column("insurance_type", sa.Text(), nullable=True, comment="Payer"),
        sa.Column("disease_severity", sa.Double(), nullable=True, comment="Clinical severity at diagnosis"),
        sa.Column(
            "comorbidity_count",
            sa.BigInteger(),
            nullable=True,
            comment="Comorbidities recorded before diagnosis",
        ),
        sa.Column(
            "prior_treatment_count", sa.BigInteger(), nullable=True, comment="Earlier lines of therapy"
        ),
        sa.Column("academic_hcp", sa.Boolean(), nullable=True, comment="Treated at an academic centre"),
        sa.Column(
            "engagement_score",
            sa.Double(),
            nullable=True,
            comment="Engagement of the treating HCP with the brand in the year before diagnosis",
        ),
        sa.Column(
            "hcp_engaged",
            sa.Boolean(),
            nullable=True,
            comment="The HCP took part in the brand's engagement programme before the index date",
        ),
        sa.Column(
            "treatment_initiated",
            sa.Boolean(),
            nullable=True,
            comment="The brand was initiated within the follow-up window",
        ),
        sa.Column(
            "days_to_treatment",
            sa.BigInteger(),
            nullable=True,
            comment="Days from diagnosis to initiation; empty when never initiated",
        ),
        sa.Column("journey_stage", sa.Text(), nullable=True, comment="Stage at the end of observation"),
        sa.Column("journey_status", sa.Text(), nullable=True, comment="Status at the end of observation"),
        sa.Column(
            "clinical_attributes",
            JSONB(),
            nullable=True,
            comment="Further clinical values of this programme, a JSON object; "
            "each becomes a column of the extract",
        ),
        sa.Column("data_source", sa.Text(), nullable=True, comment="Where the row came from"),
        sa.Column(
            "source_timestamp",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the source recorded the row",
        ),
        sa.Column(
            "ingestion_timestamp", sa.TIMESTAMP(timezone=True), nullable=False, comment="When the row arrived"
        ),
        sa.CheckConstraint("gender IN ('F', 'M')", name="patient_journeys_gender_allowed"),
        sa.CheckConstraint(
            "geographic_region IN ('northeast', 'south', 'midwest', 'west')",
            name="patient_journeys_geographic_region_allowed",
        ),
        sa.CheckConstraint(
            "insurance_type IN ('commercial', 'medicare', 'medicaid')",
            name="patient_journeys_insurance_type_allowed",
        ),
        sa.CheckConstraint(
            "journey_stage IN ('diagnosis', 'initial_treatment', 'treatment_optimization', "
            "'maintenance', 'treatment_switch')",
            name="patient_journeys_journey_stage_allowed",
        ),
        sa.CheckConstraint(
            "journey_status IN ('active', 'stable', 'transitioning', 'completed')",
            name="patient_journeys_journey_status_allowed",
        ),
        sa.CheckConstraint("age_at_diagnosis <= 120", name="patient_journeys_age_at_diagnosis_high"),
        sa.CheckConstraint("age_at_diagnosis >= 0", name="patient_journeys_age_at_diagnosis_low"),
        sa.CheckConstraint("comorbidity_count >= 0", name="patient_journeys_comorbidity_count_low"),
        sa.CheckConstraint("days_to_treatment >= 0", name="patient_journeys_days_to_treatment_low"),
        sa.CheckConstraint(
            "diagnosis_date >= first_observation_date AND diagnosis_date <= last_observation_date",
            name="patient_journeys_diagnosis_observed",
        ),
        sa.CheckConstraint("disease_severity <= 10", name="patient_journeys_disease_severity_high"),
        sa.CheckConstraint("disease_severity >= 0", name="patient_journeys_disease_severity_low"),
        sa.CheckConstraint("engagement_score <= 10", name="patient_journeys_engagement_score_high"),
        sa.CheckConstraint("engagement_score >= 0", name="patient_journeys_engagement_score_low"),
        sa.CheckConstraint(
            "first_observation_date <= last_observation_date", name="patient_journeys_observation_in_order"
        ),
        sa.CheckConstraint(
            "ingestion_timestamp >= source_timestamp", name="patient_journeys_arrives_after_source"
        ),
        sa.CheckConstraint("prior_treatment_count >= 0", name="patient_journeys_prior_treatment_count_low"),
        sa.ForeignKeyConstraint(["hcp_id"], ["e2i.hcp_profiles.hcp_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("patient_journey_id"),
        schema="e2i",
        comment="One row per patient and indication: who, when, "
        "what is known at diagnosis, and what followed.",
    )
    op.create_index(
        "ix_e2i_patient_journeys_hcp_id", "patient_journeys", ["hcp_id"], unique=False, schema="e2i"
    )
    op.create_table(
        "ml_predictions",
        sa.Column("prediction_id", sa.Text(), nullable=False, comment="Prediction identifier"),
        sa.Column("patient_journey_id", sa.Text(), nullable=False, comment="Journey that was scored"),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient that was scored"),
        sa.Column("hcp_id", sa.Text(), nullable=True, comment="HCP concerned"),
        sa.Column("model_version", sa.Text(), nullable=True, comment="Version of the scoring model"),
        sa.Column("prediction_type", sa.Text(), nullable=False, comment="What was predicted"),
        sa.Column(
            "prediction_timestamp", sa.TIMESTAMP(timezone=True), nullable=False, comment="When it was scored"
        ),
        sa.Column("prediction_value", sa.Double(), nullable=True, comment="Score"),
        sa.Column("confidence_score", sa.Double(), nullable=True, comment="Confidence in the score"),
        sa.CheckConstraint(
            "prediction_type IN ('trigger', 'propensity', 'risk', 'churn', 'next_best_action')",
            name="ml_predictions_prediction_type_allowed",
        ),
        sa.CheckConstraint("confidence_score <= 1", name="ml_predictions_confidence_score_high"),
        sa.CheckConstraint("confidence_score >= 0", name="ml_predictions_confidence_score_low"),
        sa.CheckConstraint("prediction_value <= 1", name="ml_predictions_prediction_value_high"),
        sa.CheckConstraint("prediction_value >= 0", name="ml_predictions_prediction_value_low"),
        sa.ForeignKeyConstraint(["hcp_id"], ["e2i.hcp_profiles.hcp_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["patient_journey_id"], ["e2i.patient_journeys.patient_journey_id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prediction_id"),
        schema="e2i",
        comment="Scores that earlier models gave to a journey.",
    )
    op.create_index("ix_e2i_ml_predictions_hcp_id", "ml_predictions", ["hcp_id"], unique=False, schema="e2i")
    op.create_index(
        "ix_e2i_ml_predictions_patient_journey_id",
        "ml_predictions",
        ["patient_journey_id"],
        unique=False,
        schema="e2i",
    )
    op.create_table(
        "treatment_events",
        sa.Column("treatment_event_id", sa.Text(), nullable=False, comment="Event identifier"),
        sa.Column("patient_journey_id", sa.Text(), nullable=False, comment="Journey of the event"),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient of the event"),
        sa.Column("hcp_id", sa.Text(), nullable=True, comment="HCP of the event"),
        sa.Column("event_date", sa.Date(), nullable=False, comment="Day of the event"),
        sa.Column("event_type", sa.Text(), nullable=False, comment="Kind of event"),
        sa.Column(
            "event_subtype",
            sa.Text(),
            nullable=True,
            comment="Kind of event, finer: the test, the drug class",
        ),
        sa.Column("brand", sa.Text(), nullable=True, comment="Brand of a prescription"),
        sa.Column("value", sa.Double(), nullable=True, comment="Result of a laboratory test"),
        sa.Column(
            "duration_days", sa.BigInteger(), nullable=True, comment="Days of supply of a prescription"
        ),
        sa.Column("cost", sa.Double(), nullable=True, comment="Billed cost"),
        sa.Column("adverse_event_flag", sa.Boolean(), nullable=True, comment="An adverse event was recorded"),
        sa.Column(
            "discontinuation_flag", sa.Boolean(), nullable=True, comment="Therapy was stopped at this event"
        ),
        sa.Column(
            "source_timestamp",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the source recorded the row",
        ),
        sa.Column(
            "ingestion_timestamp", sa.TIMESTAMP(timezone=True), nullable=False, comment="When the row arrived"
        ),
        sa.CheckConstraint(
            "event_type IN ('diagnosis', 'prescription', 'lab_test', 'procedure', "
            "'consultation', 'hospitalization')",
            name="treatment_events_event_type_allowed",
        ),
        sa.CheckConstraint("cost >= 0", name="treatment_events_cost_low"),
        sa.CheckConstraint("duration_days >= 0", name="treatment_events_duration_days_low"),
        sa.CheckConstraint(
            "ingestion_timestamp >= source_timestamp", name="treatment_events_arrives_after_source"
        ),
        sa.ForeignKeyConstraint(["hcp_id"], ["e2i.hcp_profiles.hcp_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["patient_journey_id"], ["e2i.patient_journeys.patient_journey_id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("treatment_event_id"),
        schema="e2i",
        comment="Dated events of a journey: prescriptions, laboratory tests, visits.",
    )
    op.create_index(
        "ix_e2i_treatment_events_hcp_id", "treatment_events", ["hcp_id"], unique=False, schema="e2i"
    )
    op.create_index(
        "ix_e2i_treatment_events_patient_journey_id",
        "treatment_events",
        ["patient_journey_id"],
        unique=False,
        schema="e2i",
    )
    op.create_table(
        "triggers",
        sa.Column("trigger_id", sa.Text(), nullable=False, comment="Trigger identifier"),
        sa.Column("patient_journey_id", sa.Text(), nullable=False, comment="Journey concerned"),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient concerned"),
        sa.Column("hcp_id", sa.Text(), nullable=True, comment="HCP addressed"),
        sa.Column("trigger_date", sa.Date(), nullable=False, comment="Day it was raised"),
        sa.Column("trigger_type", sa.Text(), nullable=False, comment="Kind of suggestion"),
        sa.Column("priority", sa.Text(), nullable=True, comment="Priority"),
        sa.Column("confidence_score", sa.Double(), nullable=True, comment="Confidence"),
        sa.Column("lead_time_days", sa.BigInteger(), nullable=True, comment="Days given to act"),
        sa.Column("expiration_date", sa.Date(), nullable=True, comment="Last day to act"),
        sa.Column("delivery_channel", sa.Text(), nullable=True, comment="Channel"),
        sa.Column("delivery_status", sa.Text(), nullable=True, comment="Whether it arrived"),
        sa.Column("acceptance_status", sa.Text(), nullable=True, comment="What the field force did"),
        sa.Column("outcome_value", sa.Double(), nullable=True, comment="Value realised"),
        sa.CheckConstraint(
            "acceptance_status IN ('pending', 'accepted', 'rejected', 'expired')",
            name="triggers_acceptance_status_allowed",
        ),
        sa.CheckConstraint(
            "delivery_status IN ('pending', 'delivered', 'viewed', 'failed')",
            name="triggers_delivery_status_allowed",
        ),
        sa.CheckConstraint(
            "priority IN ('critical', 'high', 'medium', 'low')", name="triggers_priority_allowed"
        ),
        sa.CheckConstraint("confidence_score <= 1", name="triggers_confidence_score_high"),
        sa.CheckConstraint("confidence_score >= 0", name="triggers_confidence_score_low"),
        sa.CheckConstraint(
            "expiration_date IS NULL OR expiration_date >= trigger_date", name="triggers_expires_after_sent"
        ),
        sa.CheckConstraint("lead_time_days >= 0", name="triggers_lead_time_days_low"),
        sa.CheckConstraint("outcome_value <= 1", name="triggers_outcome_value_high"),
        sa.CheckConstraint("outcome_value >= 0", name="triggers_outcome_value_low"),
        sa.ForeignKeyConstraint(["hcp_id"], ["e2i.hcp_profiles.hcp_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["patient_journey_id"], ["e2i.patient_journeys.patient_journey_id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trigger_id"),
        schema="e2i",
        comment="Suggestions sent to the field force about a journey, and what became of them.",
    )
    op.create_index("ix_e2i_triggers_hcp_id", "triggers", ["hcp_id"], unique=False, schema="e2i")
    op.create_index(
        "ix_e2i_triggers_patient_journey_id",
        "triggers",
        ["patient_journey_id"],
        unique=False,
        schema="e2i",
    )
