"""What other people call our columns and the values in them."""

from __future__ import annotations

ALIASES: dict[str, tuple[str, ...]] = {
    "patient_id": (
        "patient", "patid", "pat_id", "pid", "subject", "subject_id", "usubjid", "subjid", "person_id",
        "patient_number", "patient_no", "pidnum", "mrn", "record_id", "id",
    ),
    "hcp_id": ("hcp", "physician_id", "provider_id", "prescriber_id", "doctor_id"),
    "diagnosis_code": ("icd10", "icd_10", "icd", "icd_code", "dx_code", "icd10_code"),
    "diagnosis_date": ("dx_date", "date_of_diagnosis", "index_date", "diagnosed", "diagnosed_on"),
    "first_observation_date": ("enrollment_date", "enrolment_date", "observation_start", "start_date"),
    "last_observation_date": ("observation_end", "end_date", "last_contact", "last_visit", "followup_end"),
    "age_at_diagnosis": ("age", "age_years", "age_at_dx"),
    "gender": ("sex",),
    "geographic_region": ("region",),
    "insurance_type": ("payer", "insurance", "payer_type"),
    "disease_severity": ("severity", "severity_score"),
    "comorbidity_count": ("comorbidities", "n_comorbidities"),
    "prior_treatment_count": ("prior_lines", "prior_therapies", "prior_treatments"),
    "treatment_event_id": ("event_id",),
    "event_date": ("date", "service_date", "visit_date", "lab_date", "fill_date", "prescription_date"),
    "event_type": ("type", "event"),
    "event_subtype": ("test", "test_name", "lab_test", "drug", "drug_name", "subtype"),
    "value": ("result", "lab_value", "result_value"),
    "duration_days": ("days_supply", "days_of_supply"),
    "cost": ("amount", "paid_amount", "billed_amount"),
    "source_timestamp": ("recorded_at", "updated_at", "modified", "last_modified", "extract_date"),
    "years_experience": ("experience", "years_in_practice"),
}  # fmt: skip
"""Names that other people give to our columns."""

WORDS: dict[str, dict[str, str]] = {
    "gender": {"female": "F", "f": "F", "w": "F", "woman": "F", "male": "M", "m": "M", "man": "M"},
}
"""Words of this file, not of a source, that stand for values of ours."""
