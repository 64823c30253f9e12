"""What columns mean, with units."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

MEANINGS = {
    "hcp_profiles": {
        "hcp_id": "Identifier of the HCP",
        "specialty": "Medical specialty, in words",
        "practice_type": "Kind of practice the HCP works in",
        "years_experience": "Years in practice (years)",
        "total_patient_volume": "Patients under care in a year (patients)",
        "decile": "Prescribing decile among peers, 10 is highest (1-10)",
        "digital_engagement_score": "How much the HCP uses digital channels (0-1)",
        "coverage_status": "Whether the field force visits the HCP",
    },
    "patient_journeys": {
        "patient_journey_id": "Identifier of the journey: one patient in one indication",
        "hcp_id": "HCP who treats the patient",
        "age_at_diagnosis": "Age at the index diagnosis (years)",
        "gender": "Sex as recorded by the source",
        "insurance_type": "Who pays for the care",
        "disease_severity": "Clinical severity at diagnosis (0-10)",
        "comorbidity_count": "Comorbidities recorded before diagnosis (conditions)",
        "prior_treatment_count": "Lines of therapy before the index diagnosis (lines)",
        "academic_hcp": "Whether the patient is treated at an academic centre",
        "engagement_score": "Engagement of the treating HCP with the brand in the year before diagnosis (0-10)",
        "hcp_engaged": "Whether the HCP took part in the brand's engagement programme before the index date",
        "treatment_initiated": "Whether the brand was initiated within the follow-up window",
        "days_to_treatment": "Days from diagnosis to initiation; empty when never initiated (days)",
        "data_source": "Name of the source that the row came from",
    },
    "treatment_events": {
        "treatment_event_id": "Identifier of the event",
        "patient_journey_id": "Journey that the event belongs to",
        "patient_id": "Patient whom the event concerns",
        "hcp_id": "HCP who prescribed, ordered or saw the patient",
        "event_type": "What happened, by kind",
        "event_subtype": "What happened, finer: the test, the drug class, the kind of visit",
        "brand": "Brand that was prescribed",
        "value": "Result of a laboratory test (unit of the test in event_subtype)",
        "duration_days": "Days of supply of a prescription (days)",
        "cost": "Cost that was billed for the event (USD)",
        "adverse_event_flag": "Whether an adverse event was recorded",
        "discontinuation_flag": "Whether therapy was stopped at this event",
    },
    "ml_predictions": {
        "prediction_id": "Identifier of the prediction",
        "hcp_id": "HCP whom the prediction concerns",
        "prediction_type": "What was predicted, by kind",
        "prediction_timestamp": "When the score was given",
        "prediction_value": "Probability that was predicted (0-1)",
        "confidence_score": "Confidence of the model in its prediction (0-1)",
    },
    "triggers": {
        "trigger_id": "Identifier of the suggestion",
        "patient_journey_id": "Journey that the suggestion is about",
        "patient_id": "Patient whom the suggestion is about",
        "hcp_id": "HCP whom the field force is to see",
        "trigger_date": "Day the suggestion was raised",
        "trigger_type": "What is suggested, by kind",
        "priority": "How urgent the suggestion is",
        "confidence_score": "Confidence of the model behind the suggestion (0-1)",
        "lead_time_days": "Days that the field force has to act (days)",
        "expiration_date": "Last day on which to act",
        "delivery_channel": "Channel through which it was sent",
        "delivery_status": "Whether the suggestion reached the field force",
        "acceptance_status": "What the field force did with the suggestion",
        "outcome_value": "Value that the suggestion realised (0-1)",
    },
    "business_metrics": {
        "metric_id": "Identifier of the figure",
        "metric_date": "First day of the month of the figure",
        "metric_name": "What the figure measures, by name",
        "brand": "Brand that the row is about",
        "region": "Region that the figure is about",
        "value": "Value of the figure (unit of metric_name)",
        "target": "Value that was planned (unit of metric_name)",
        "achievement_rate": "Value over planned value, 1 is on plan (ratio)",
        "sample_size": "Observations that the figure rests on (observations)",
    },
    "causal_paths": {
        "path_id": "Identifier of the finding",
        "brand": "Brand that the row is about",
        "discovery_date": "Day on which the finding was made",
        "source_node": "Node that is the cause",
        "target_node": "Node that is the effect",
        "path_length": "Edges between cause and effect (edges)",
        "causal_effect_size": "Strength of the effect, negative when the cause lowers it (-1 to 1)",
        "confidence_level": "Confidence in the finding (0-1)",
        "method_used": "Name of the estimator that found it",
    },
}


def upgrade() -> None:
    """What columns mean, with units."""
    for table, meanings in MEANINGS.items():
        for column, meaning in meanings.items():
            op.alter_column(table, column, comment=meaning, schema="e2i")
