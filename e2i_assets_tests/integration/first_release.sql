-- Schema e2i as the first release created it, with rows in every table (pg_dump --inserts).
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA e2i;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE e2i.business_metrics (
    metric_id text NOT NULL,
    metric_date date NOT NULL,
    metric_name text NOT NULL,
    brand text NOT NULL,
    region text,
    value double precision,
    target double precision,
    achievement_rate double precision,
    sample_size bigint,
    CONSTRAINT business_metrics_achievement_rate_low CHECK ((achievement_rate >= (0)::double precision)),
    CONSTRAINT business_metrics_region_allowed CHECK ((region = ANY (ARRAY['northeast'::text, 'south'::text, 'midwest'::text, 'west'::text]))),
    CONSTRAINT business_metrics_sample_size_low CHECK ((sample_size >= 0)),
    CONSTRAINT business_metrics_target_low CHECK ((target >= (0)::double precision)),
    CONSTRAINT business_metrics_value_low CHECK ((value >= (0)::double precision))
);
COMMENT ON TABLE e2i.business_metrics IS 'Monthly figures of a brand in a region.';
COMMENT ON COLUMN e2i.business_metrics.metric_id IS 'Metric identifier';
COMMENT ON COLUMN e2i.business_metrics.metric_date IS 'First day of the month';
COMMENT ON COLUMN e2i.business_metrics.metric_name IS 'Name of the figure';
COMMENT ON COLUMN e2i.business_metrics.brand IS 'Brand';
COMMENT ON COLUMN e2i.business_metrics.region IS 'Region';
COMMENT ON COLUMN e2i.business_metrics.value IS 'Figure';
COMMENT ON COLUMN e2i.business_metrics.target IS 'Planned figure';
COMMENT ON COLUMN e2i.business_metrics.achievement_rate IS 'Figure over plan';
COMMENT ON COLUMN e2i.business_metrics.sample_size IS 'Observations behind the figure';
CREATE TABLE e2i.causal_paths (
    path_id text NOT NULL,
    brand text NOT NULL,
    discovery_date date NOT NULL,
    source_node text NOT NULL,
    target_node text NOT NULL,
    path_length bigint,
    causal_effect_size double precision,
    confidence_level double precision,
    method_used text,
    CONSTRAINT causal_paths_causal_effect_size_high CHECK ((causal_effect_size <= (1)::double precision)),
    CONSTRAINT causal_paths_causal_effect_size_low CHECK ((causal_effect_size >= ('-1'::integer)::double precision)),
    CONSTRAINT causal_paths_confidence_level_high CHECK ((confidence_level <= (1)::double precision)),
    CONSTRAINT causal_paths_confidence_level_low CHECK ((confidence_level >= (0)::double precision)),
    CONSTRAINT causal_paths_path_length_low CHECK ((path_length >= 1))
);
COMMENT ON TABLE e2i.causal_paths IS 'Causal findings on record: which node moves which, and how strongly.';
COMMENT ON COLUMN e2i.causal_paths.path_id IS 'Path identifier';
COMMENT ON COLUMN e2i.causal_paths.brand IS 'Brand';
COMMENT ON COLUMN e2i.causal_paths.discovery_date IS 'Day of the finding';
COMMENT ON COLUMN e2i.causal_paths.source_node IS 'Cause';
COMMENT ON COLUMN e2i.causal_paths.target_node IS 'Effect';
COMMENT ON COLUMN e2i.causal_paths.path_length IS 'Edges of the path';
COMMENT ON COLUMN e2i.causal_paths.causal_effect_size IS 'Effect strength';
COMMENT ON COLUMN e2i.causal_paths.confidence_level IS 'Confidence';
COMMENT ON COLUMN e2i.causal_paths.method_used IS 'Estimator';
CREATE TABLE e2i.hcp_profiles (
    hcp_id text NOT NULL,
    npi text,
    specialty text,
    practice_type text,
    geographic_region text,
    years_experience bigint,
    total_patient_volume bigint,
    decile bigint,
    digital_engagement_score double precision,
    coverage_status boolean,
    CONSTRAINT hcp_profiles_decile_high CHECK ((decile <= 10)),
    CONSTRAINT hcp_profiles_decile_low CHECK ((decile >= 1)),
    CONSTRAINT hcp_profiles_digital_engagement_score_high CHECK ((digital_engagement_score <= (1)::double precision)),
    CONSTRAINT hcp_profiles_digital_engagement_score_low CHECK ((digital_engagement_score >= (0)::double precision)),
    CONSTRAINT hcp_profiles_geographic_region_allowed CHECK ((geographic_region = ANY (ARRAY['northeast'::text, 'south'::text, 'midwest'::text, 'west'::text]))),
    CONSTRAINT hcp_profiles_practice_type_allowed CHECK ((practice_type = ANY (ARRAY['academic'::text, 'community'::text, 'private'::text]))),
    CONSTRAINT hcp_profiles_total_patient_volume_low CHECK ((total_patient_volume >= 0)),
    CONSTRAINT hcp_profiles_years_experience_high CHECK ((years_experience <= 70)),
    CONSTRAINT hcp_profiles_years_experience_low CHECK ((years_experience >= 0))
);
COMMENT ON TABLE e2i.hcp_profiles IS 'Health care professionals; one row per HCP.';
COMMENT ON COLUMN e2i.hcp_profiles.hcp_id IS 'HCP identifier';
COMMENT ON COLUMN e2i.hcp_profiles.npi IS 'National Provider Identifier';
COMMENT ON COLUMN e2i.hcp_profiles.specialty IS 'Medical specialty';
COMMENT ON COLUMN e2i.hcp_profiles.practice_type IS 'Kind of practice';
COMMENT ON COLUMN e2i.hcp_profiles.geographic_region IS 'Region of practice';
COMMENT ON COLUMN e2i.hcp_profiles.years_experience IS 'Years in practice';
COMMENT ON COLUMN e2i.hcp_profiles.total_patient_volume IS 'Patients under care in a year';
COMMENT ON COLUMN e2i.hcp_profiles.decile IS 'Prescribing decile, 10 is highest';
COMMENT ON COLUMN e2i.hcp_profiles.digital_engagement_score IS 'Use of digital channels';
COMMENT ON COLUMN e2i.hcp_profiles.coverage_status IS 'Covered by the field force';
CREATE TABLE e2i.ml_bentoml_services (
    id bigint NOT NULL,
    service_name text NOT NULL,
    bento_tag text NOT NULL,
    partition text NOT NULL,
    scope text NOT NULL,
    model_fingerprint text NOT NULL,
    status text NOT NULL,
    run_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE e2i.ml_bentoml_services IS 'Every bundle that was built.';
ALTER TABLE e2i.ml_bentoml_services ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_bentoml_services_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_cohort_definitions (
    config_hash text NOT NULL,
    cohort_id text NOT NULL,
    partition text NOT NULL,
    version text NOT NULL,
    config_json jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE e2i.ml_cohort_definitions IS 'Each definition of a cohort once, by its content.';
CREATE TABLE e2i.ml_cohort_eligibility_log (
    id bigint NOT NULL,
    config_hash text NOT NULL,
    run_id text NOT NULL,
    criterion_order integer NOT NULL,
    criterion_name text NOT NULL,
    criterion_type text NOT NULL,
    operator text NOT NULL,
    criterion_value jsonb,
    removed_count bigint NOT NULL,
    null_count bigint NOT NULL,
    remaining_count bigint NOT NULL,
    description text,
    clinical_rationale text,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE e2i.ml_cohort_eligibility_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_cohort_eligibility_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_data_quality_reports (
    id bigint NOT NULL,
    partition text NOT NULL,
    overall_status text NOT NULL,
    overall_score double precision NOT NULL,
    completeness_score double precision,
    validity_score double precision,
    consistency_score double precision,
    uniqueness_score double precision,
    timeliness_score double precision,
    expectations_evaluated integer NOT NULL,
    expectations_failed integer NOT NULL,
    report jsonb NOT NULL,
    run_id text NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE e2i.ml_data_quality_reports IS 'Every quality report, also of data that was refused.';
ALTER TABLE e2i.ml_data_quality_reports ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_data_quality_reports_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_gate_results (
    id bigint NOT NULL,
    asset text NOT NULL,
    partition text NOT NULL,
    gate text NOT NULL,
    passed boolean NOT NULL,
    reason text,
    details jsonb NOT NULL,
    run_id text NOT NULL,
    evaluated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE e2i.ml_gate_results IS 'Every evaluation of every gate.';
ALTER TABLE e2i.ml_gate_results ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_gate_results_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_hpo_studies (
    id bigint NOT NULL,
    study_name text NOT NULL,
    partition text NOT NULL,
    scope text NOT NULL,
    algorithm_name text NOT NULL,
    metric text NOT NULL,
    n_trials integer NOT NULL,
    n_completed integer NOT NULL,
    n_pruned integer NOT NULL,
    best_value double precision NOT NULL,
    best_params jsonb NOT NULL,
    trials jsonb NOT NULL,
    run_id text NOT NULL,
    completed_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE e2i.ml_hpo_studies IS 'History of each hyperparameter study.';
ALTER TABLE e2i.ml_hpo_studies ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_hpo_studies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_load_batches (
    load_id bigint NOT NULL,
    source text NOT NULL,
    rows jsonb NOT NULL,
    changed jsonb NOT NULL,
    programmes jsonb NOT NULL,
    truth jsonb,
    committed_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE e2i.ml_load_batches IS 'One row per committed load, written in the transaction of the load itself.';
COMMENT ON COLUMN e2i.ml_load_batches.rows IS 'table to rows given';
COMMENT ON COLUMN e2i.ml_load_batches.changed IS 'table to rows inserted, updated or removed';
COMMENT ON COLUMN e2i.ml_load_batches.programmes IS 'brand/indication pairs that the load touched';
COMMENT ON COLUMN e2i.ml_load_batches.truth IS 'declared truth of generated data';
ALTER TABLE e2i.ml_load_batches ALTER COLUMN load_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_load_batches_load_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_predictions (
    prediction_id text NOT NULL,
    patient_journey_id text NOT NULL,
    patient_id text NOT NULL,
    hcp_id text,
    model_version text,
    prediction_type text NOT NULL,
    prediction_timestamp timestamp with time zone NOT NULL,
    prediction_value double precision,
    confidence_score double precision,
    CONSTRAINT ml_predictions_confidence_score_high CHECK ((confidence_score <= (1)::double precision)),
    CONSTRAINT ml_predictions_confidence_score_low CHECK ((confidence_score >= (0)::double precision)),
    CONSTRAINT ml_predictions_prediction_type_allowed CHECK ((prediction_type = ANY (ARRAY['trigger'::text, 'propensity'::text, 'risk'::text, 'churn'::text, 'next_best_action'::text]))),
    CONSTRAINT ml_predictions_prediction_value_high CHECK ((prediction_value <= (1)::double precision)),
    CONSTRAINT ml_predictions_prediction_value_low CHECK ((prediction_value >= (0)::double precision))
);
COMMENT ON TABLE e2i.ml_predictions IS 'Scores that earlier models gave to a journey.';
COMMENT ON COLUMN e2i.ml_predictions.prediction_id IS 'Prediction identifier';
COMMENT ON COLUMN e2i.ml_predictions.patient_journey_id IS 'Journey that was scored';
COMMENT ON COLUMN e2i.ml_predictions.patient_id IS 'Patient that was scored';
COMMENT ON COLUMN e2i.ml_predictions.hcp_id IS 'HCP concerned';
COMMENT ON COLUMN e2i.ml_predictions.model_version IS 'Version of the scoring model';
COMMENT ON COLUMN e2i.ml_predictions.prediction_type IS 'What was predicted';
COMMENT ON COLUMN e2i.ml_predictions.prediction_timestamp IS 'When it was scored';
COMMENT ON COLUMN e2i.ml_predictions.prediction_value IS 'Score';
COMMENT ON COLUMN e2i.ml_predictions.confidence_score IS 'Confidence in the score';
CREATE TABLE e2i.ml_split_access (
    id bigint NOT NULL,
    partition text NOT NULL,
    split text NOT NULL,
    model_fingerprint text NOT NULL,
    purpose text NOT NULL,
    result_version text,
    run_id text NOT NULL,
    accessed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ml_split_access_split CHECK ((split = ANY (ARRAY['test'::text, 'holdout'::text])))
);
COMMENT ON TABLE e2i.ml_split_access IS 'Sealed splits open once for a model.';
ALTER TABLE e2i.ml_split_access ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_split_access_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.ml_split_assignments (
    partition text NOT NULL,
    patient_id text NOT NULL,
    split text NOT NULL,
    assigned_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ml_split_assignments_split CHECK ((split = ANY (ARRAY['train'::text, 'validation'::text, 'test'::text, 'holdout'::text])))
);
COMMENT ON TABLE e2i.ml_split_assignments IS 'A patient keeps the split of a partition for ever.';
CREATE TABLE e2i.ml_training_runs (
    id bigint NOT NULL,
    partition text NOT NULL,
    scope text NOT NULL,
    algorithm text NOT NULL,
    model_fingerprint text NOT NULL,
    hyperparameters jsonb NOT NULL,
    training_samples integer NOT NULL,
    validation_samples integer NOT NULL,
    metrics jsonb NOT NULL,
    data_versions jsonb NOT NULL,
    mlflow_run_id text,
    run_id text NOT NULL,
    completed_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE e2i.ml_training_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME e2i.ml_training_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE e2i.patient_journeys (
    patient_journey_id text NOT NULL,
    patient_id text NOT NULL,
    hcp_id text,
    brand text NOT NULL,
    indication text NOT NULL,
    diagnosis_code text,
    diagnosis_date date,
    first_observation_date date NOT NULL,
    last_observation_date date NOT NULL,
    age_at_diagnosis bigint,
    gender text,
    geographic_region text,
    insurance_type text,
    disease_severity double precision,
    comorbidity_count bigint,
    prior_treatment_count bigint,
    academic_hcp boolean,
    engagement_score double precision,
    hcp_engaged boolean,
    treatment_initiated boolean,
    days_to_treatment bigint,
    journey_stage text,
    journey_status text,
    clinical_attributes jsonb,
    data_source text,
    source_timestamp timestamp with time zone NOT NULL,
    ingestion_timestamp timestamp with time zone NOT NULL,
    CONSTRAINT patient_journeys_age_at_diagnosis_high CHECK ((age_at_diagnosis <= 120)),
    CONSTRAINT patient_journeys_age_at_diagnosis_low CHECK ((age_at_diagnosis >= 0)),
    CONSTRAINT patient_journeys_arrives_after_source CHECK ((ingestion_timestamp >= source_timestamp)),
    CONSTRAINT patient_journeys_comorbidity_count_low CHECK ((comorbidity_count >= 0)),
    CONSTRAINT patient_journeys_days_to_treatment_low CHECK ((days_to_treatment >= 0)),
    CONSTRAINT patient_journeys_diagnosis_observed CHECK (((diagnosis_date >= first_observation_date) AND (diagnosis_date <= last_observation_date))),
    CONSTRAINT patient_journeys_disease_severity_high CHECK ((disease_severity <= (10)::double precision)),
    CONSTRAINT patient_journeys_disease_severity_low CHECK ((disease_severity >= (0)::double precision)),
    CONSTRAINT patient_journeys_engagement_score_high CHECK ((engagement_score <= (10)::double precision)),
    CONSTRAINT patient_journeys_engagement_score_low CHECK ((engagement_score >= (0)::double precision)),
    CONSTRAINT patient_journeys_gender_allowed CHECK ((gender = ANY (ARRAY['F'::text, 'M'::text]))),
    CONSTRAINT patient_journeys_geographic_region_allowed CHECK ((geographic_region = ANY (ARRAY['northeast'::text, 'south'::text, 'midwest'::text, 'west'::text]))),
    CONSTRAINT patient_journeys_insurance_type_allowed CHECK ((insurance_type = ANY (ARRAY['commercial'::text, 'medicare'::text, 'medicaid'::text]))),
    CONSTRAINT patient_journeys_journey_stage_allowed CHECK ((journey_stage = ANY (ARRAY['diagnosis'::text, 'initial_treatment'::text, 'treatment_optimization'::text, 'maintenance'::text, 'treatment_switch'::text]))),
    CONSTRAINT patient_journeys_journey_status_allowed CHECK ((journey_status = ANY (ARRAY['active'::text, 'stable'::text, 'transitioning'::text, 'completed'::text]))),
    CONSTRAINT patient_journeys_observation_in_order CHECK ((first_observation_date <= last_observation_date)),
    CONSTRAINT patient_journeys_prior_treatment_count_low CHECK ((prior_treatment_count >= 0))
);
COMMENT ON TABLE e2i.patient_journeys IS 'One row per patient and indication: who, when, what is known at diagnosis, and what followed.';
COMMENT ON COLUMN e2i.patient_journeys.patient_journey_id IS 'Journey identifier';
COMMENT ON COLUMN e2i.patient_journeys.patient_id IS 'Patient identifier; the unit of splitting';
COMMENT ON COLUMN e2i.patient_journeys.hcp_id IS 'Treating HCP';
COMMENT ON COLUMN e2i.patient_journeys.brand IS 'Brand of the programme';
COMMENT ON COLUMN e2i.patient_journeys.indication IS 'Indication of the programme';
COMMENT ON COLUMN e2i.patient_journeys.diagnosis_code IS 'ICD-10-CM code of the index diagnosis';
COMMENT ON COLUMN e2i.patient_journeys.diagnosis_date IS 'Date of the index diagnosis';
COMMENT ON COLUMN e2i.patient_journeys.first_observation_date IS 'First day under observation';
COMMENT ON COLUMN e2i.patient_journeys.last_observation_date IS 'Last day under observation';
COMMENT ON COLUMN e2i.patient_journeys.age_at_diagnosis IS 'Age at the index diagnosis';
COMMENT ON COLUMN e2i.patient_journeys.gender IS 'Recorded sex';
COMMENT ON COLUMN e2i.patient_journeys.geographic_region IS 'Region of residence';
COMMENT ON COLUMN e2i.patient_journeys.insurance_type IS 'Payer';
COMMENT ON COLUMN e2i.patient_journeys.disease_severity IS 'Clinical severity at diagnosis';
COMMENT ON COLUMN e2i.patient_journeys.comorbidity_count IS 'Comorbidities recorded before diagnosis';
COMMENT ON COLUMN e2i.patient_journeys.prior_treatment_count IS 'Earlier lines of therapy';
COMMENT ON COLUMN e2i.patient_journeys.academic_hcp IS 'Treated at an academic centre';
COMMENT ON COLUMN e2i.patient_journeys.engagement_score IS 'Engagement of the treating HCP with the brand in the year before diagnosis';
COMMENT ON COLUMN e2i.patient_journeys.hcp_engaged IS 'The HCP took part in the brand''s engagement programme before the index date';
COMMENT ON COLUMN e2i.patient_journeys.treatment_initiated IS 'The brand was initiated within the follow-up window';
COMMENT ON COLUMN e2i.patient_journeys.days_to_treatment IS 'Days from diagnosis to initiation; empty when never initiated';
COMMENT ON COLUMN e2i.patient_journeys.journey_stage IS 'Stage at the end of observation';
COMMENT ON COLUMN e2i.patient_journeys.journey_status IS 'Status at the end of observation';
COMMENT ON COLUMN e2i.patient_journeys.clinical_attributes IS 'Further clinical values of this programme, a JSON object; each becomes a column of the extract';
COMMENT ON COLUMN e2i.patient_journeys.data_source IS 'Where the row came from';
COMMENT ON COLUMN e2i.patient_journeys.source_timestamp IS 'When the source recorded the row';
COMMENT ON COLUMN e2i.patient_journeys.ingestion_timestamp IS 'When the row arrived';
CREATE TABLE e2i.treatment_events (
    treatment_event_id text NOT NULL,
    patient_journey_id text NOT NULL,
    patient_id text NOT NULL,
    hcp_id text,
    event_date date NOT NULL,
    event_type text NOT NULL,
    event_subtype text,
    brand text,
    value double precision,
    duration_days bigint,
    cost double precision,
    adverse_event_flag boolean,
    discontinuation_flag boolean,
    source_timestamp timestamp with time zone NOT NULL,
    ingestion_timestamp timestamp with time zone NOT NULL,
    CONSTRAINT treatment_events_arrives_after_source CHECK ((ingestion_timestamp >= source_timestamp)),
    CONSTRAINT treatment_events_cost_low CHECK ((cost >= (0)::double precision)),
    CONSTRAINT treatment_events_duration_days_low CHECK ((duration_days >= 0)),
    CONSTRAINT treatment_events_event_type_allowed CHECK ((event_type = ANY (ARRAY['diagnosis'::text, 'prescription'::text, 'lab_test'::text, 'procedure'::text, 'consultation'::text, 'hospitalization'::text])))
);
COMMENT ON TABLE e2i.treatment_events IS 'Dated events of a journey: prescriptions, laboratory tests, visits.';
COMMENT ON COLUMN e2i.treatment_events.treatment_event_id IS 'Event identifier';
COMMENT ON COLUMN e2i.treatment_events.patient_journey_id IS 'Journey of the event';
COMMENT ON COLUMN e2i.treatment_events.patient_id IS 'Patient of the event';
COMMENT ON COLUMN e2i.treatment_events.hcp_id IS 'HCP of the event';
COMMENT ON COLUMN e2i.treatment_events.event_date IS 'Day of the event';
COMMENT ON COLUMN e2i.treatment_events.event_type IS 'Kind of event';
COMMENT ON COLUMN e2i.treatment_events.event_subtype IS 'Kind of event, finer: the test, the drug class';
COMMENT ON COLUMN e2i.treatment_events.brand IS 'Brand of a prescription';
COMMENT ON COLUMN e2i.treatment_events.value IS 'Result of a laboratory test';
COMMENT ON COLUMN e2i.treatment_events.duration_days IS 'Days of supply of a prescription';
COMMENT ON COLUMN e2i.treatment_events.cost IS 'Billed cost';
COMMENT ON COLUMN e2i.treatment_events.adverse_event_flag IS 'An adverse event was recorded';
COMMENT ON COLUMN e2i.treatment_events.discontinuation_flag IS 'Therapy was stopped at this event';
COMMENT ON COLUMN e2i.treatment_events.source_timestamp IS 'When the source recorded the row';
COMMENT ON COLUMN e2i.treatment_events.ingestion_timestamp IS 'When the row arrived';
CREATE TABLE e2i.triggers (
    trigger_id text NOT NULL,
    patient_journey_id text NOT NULL,
    patient_id text NOT NULL,
    hcp_id text,
    trigger_date date NOT NULL,
    trigger_type text NOT NULL,
    priority text,
    confidence_score double precision,
    lead_time_days bigint,
    expiration_date date,
    delivery_channel text,
    delivery_status text,
    acceptance_status text,
    outcome_value double precision,
    CONSTRAINT triggers_acceptance_status_allowed CHECK ((acceptance_status = ANY (ARRAY['pending'::text, 'accepted'::text, 'rejected'::text, 'expired'::text]))),
    CONSTRAINT triggers_confidence_score_high CHECK ((confidence_score <= (1)::double precision)),
    CONSTRAINT triggers_confidence_score_low CHECK ((confidence_score >= (0)::double precision)),
    CONSTRAINT triggers_delivery_status_allowed CHECK ((delivery_status = ANY (ARRAY['pending'::text, 'delivered'::text, 'viewed'::text, 'failed'::text]))),
    CONSTRAINT triggers_expires_after_sent CHECK (((expiration_date IS NULL) OR (expiration_date >= trigger_date))),
    CONSTRAINT triggers_lead_time_days_low CHECK ((lead_time_days >= 0)),
    CONSTRAINT triggers_outcome_value_high CHECK ((outcome_value <= (1)::double precision)),
    CONSTRAINT triggers_outcome_value_low CHECK ((outcome_value >= (0)::double precision)),
    CONSTRAINT triggers_priority_allowed CHECK ((priority = ANY (ARRAY['critical'::text, 'high'::text, 'medium'::text, 'low'::text])))
);
COMMENT ON TABLE e2i.triggers IS 'Suggestions sent to the field force about a journey, and what became of them.';
COMMENT ON COLUMN e2i.triggers.trigger_id IS 'Trigger identifier';
COMMENT ON COLUMN e2i.triggers.patient_journey_id IS 'Journey concerned';
COMMENT ON COLUMN e2i.triggers.patient_id IS 'Patient concerned';
COMMENT ON COLUMN e2i.triggers.hcp_id IS 'HCP addressed';
COMMENT ON COLUMN e2i.triggers.trigger_date IS 'Day it was raised';
COMMENT ON COLUMN e2i.triggers.trigger_type IS 'Kind of suggestion';
COMMENT ON COLUMN e2i.triggers.priority IS 'Priority';
COMMENT ON COLUMN e2i.triggers.confidence_score IS 'Confidence';
COMMENT ON COLUMN e2i.triggers.lead_time_days IS 'Days given to act';
COMMENT ON COLUMN e2i.triggers.expiration_date IS 'Last day to act';
COMMENT ON COLUMN e2i.triggers.delivery_channel IS 'Channel';
COMMENT ON COLUMN e2i.triggers.delivery_status IS 'Whether it arrived';
COMMENT ON COLUMN e2i.triggers.acceptance_status IS 'What the field force did';
COMMENT ON COLUMN e2i.triggers.outcome_value IS 'Value realised';
INSERT INTO e2i.business_metrics VALUES ('m1', '2024-01-01', 'trx', 'Remibrutinib', 'west', 120.5, 100, 1.205, 40);
INSERT INTO e2i.business_metrics VALUES ('m2', '2024-02-01', 'trx', 'Remibrutinib', NULL, NULL, NULL, NULL, NULL);
INSERT INTO e2i.causal_paths VALUES ('c1', 'Remibrutinib', '2024-05-01', 'engagement', 'initiation', 2, 0.12, 0.95, 'aipw');
INSERT INTO e2i.causal_paths VALUES ('c2', 'Kisqali', '2024-05-01', 'a', 'b', NULL, NULL, NULL, NULL);
INSERT INTO e2i.hcp_profiles VALUES ('h1', '1234567893', 'Dermatology', 'academic', 'south', 12, 340, 10, 0.75, true);
INSERT INTO e2i.hcp_profiles VALUES ('h2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO e2i.ml_bentoml_services OVERRIDING SYSTEM VALUE VALUES (1, 'classification-service', 'e2i-conversion-remibrutinib_csu:1', 'remibrutinib_csu', 'conversion', 'f1', 'built', 'r1', '2024-07-01 12:10:00+00');
INSERT INTO e2i.ml_cohort_definitions VALUES ('abc', 'cohort-1', 'remibrutinib_csu', '1.0.0', '{"brand": "Remibrutinib"}', '2024-07-01 10:40:00+00');
INSERT INTO e2i.ml_cohort_eligibility_log OVERRIDING SYSTEM VALUE VALUES (1, 'abc', 'r1', 1, 'age_at_diagnosis', 'inclusion', '>=', '18', 12, 3, 2488, 'Adult at diagnosis', 'Safety', '2024-07-01 10:40:00+00');
INSERT INTO e2i.ml_cohort_eligibility_log OVERRIDING SYSTEM VALUE VALUES (2, 'abc', 'r1', 2, 'lookback', 'temporal', '>=', NULL, 0, 0, 2488, NULL, NULL, '2024-07-01 10:40:00+00');
INSERT INTO e2i.ml_data_quality_reports OVERRIDING SYSTEM VALUE VALUES (1, 'remibrutinib_csu', 'passed', 0.97, 0.95, 1, 1, 1, 0.9, 58, 0, '{"tables": []}', 'r1', '2024-07-01 10:30:00+00');
INSERT INTO e2i.ml_data_quality_reports OVERRIDING SYSTEM VALUE VALUES (2, 'fabhalta_pnh', 'failed', 0.4, NULL, NULL, NULL, NULL, NULL, 0, 0, '{}', 'r2', '2024-07-01 10:31:00+00');
INSERT INTO e2i.ml_gate_results OVERRIDING SYSTEM VALUE VALUES (1, 'cohort', 'remibrutinib_csu', 'cohort_size', true, NULL, '{"patients": 410}', 'r1', '2024-07-01 11:00:00+00');
INSERT INTO e2i.ml_gate_results OVERRIDING SYSTEM VALUE VALUES (2, 'splits', 'remibrutinib_csu', 'no_leakage', false, 'leakage', '{"columns": ["days_to_treatment"]}', 'r1', '2024-07-01 11:05:00+00');
INSERT INTO e2i.ml_hpo_studies OVERRIDING SYSTEM VALUE VALUES (1, 's', 'remibrutinib_csu', 'conversion', 'xgboost', 'roc_auc', 20, 18, 2, 0.81, '{"max_depth": 3}', '[{"value": 0.81, "number": 0}]', 'r1', '2024-07-01 11:20:00+00');
INSERT INTO e2i.ml_load_batches OVERRIDING SYSTEM VALUE VALUES (1, 'synthetic confounded, seed 42', '{"patient_journeys": 2}', '{"patient_journeys": 2}', '["Remibrutinib/csu", "Kisqali/hr_her2_bc"]', '{"overall": {"average_effect": 0.12}}', '2024-07-01 10:00:00+00');
INSERT INTO e2i.ml_load_batches OVERRIDING SYSTEM VALUE VALUES (2, 'crm', '{"hcp_profiles": 2}', '{"hcp_profiles": 1}', '["Remibrutinib/csu"]', NULL, '2024-07-02 10:00:00+00');
INSERT INTO e2i.ml_predictions VALUES ('s1', 'j1', 'p1', 'h1', 'v1', 'propensity', '2024-01-20 00:00:00+00', 0.62, 0.9);
INSERT INTO e2i.ml_predictions VALUES ('s2', 'j2', 'p2', NULL, NULL, 'risk', '2024-01-20 00:00:00+00', NULL, NULL);
INSERT INTO e2i.ml_split_access OVERRIDING SYSTEM VALUE VALUES (1, 'remibrutinib_csu', 'test', 'f1', 'evaluation', 'v1', 'r1', '2024-07-01 12:00:00+00');
INSERT INTO e2i.ml_split_access OVERRIDING SYSTEM VALUE VALUES (2, 'remibrutinib_csu', 'test', 'f2', 'evaluation', NULL, 'r2', '2024-07-01 12:30:00+00');
INSERT INTO e2i.ml_split_assignments VALUES ('remibrutinib_csu', 'p1', 'train', '2024-07-01 10:50:00+00');
INSERT INTO e2i.ml_split_assignments VALUES ('remibrutinib_csu', 'p3', 'holdout', '2024-07-01 10:50:00+00');
INSERT INTO e2i.ml_training_runs OVERRIDING SYSTEM VALUE VALUES (1, 'remibrutinib_csu', 'conversion', 'xgboost', 'f1', '{"max_depth": 3}', 246, 82, '{"roc_auc": 0.8}', '{"splits": "v1"}', 'm1', 'r1', '2024-07-01 11:30:00+00');
INSERT INTO e2i.ml_training_runs OVERRIDING SYSTEM VALUE VALUES (2, 'remibrutinib_csu', 'conversion', 'logistic', 'f2', '{}', 246, 82, '{}', '{}', NULL, 'r2', '2024-07-01 11:40:00+00');
INSERT INTO e2i.patient_journeys VALUES ('j1', 'p1', 'h1', 'Remibrutinib', 'csu', 'L50.1', '2024-01-15', '2023-01-01', '2024-06-30', 44, 'F', 'south', 'medicare', 7.25, 2, 1, true, 6.5, true, true, 31, 'maintenance', 'stable', '{"note": "ünïcode \"quoted\"", "pregnancy_status": false, "urticaria_severity_uas7": 28}', 'crm', '2024-03-01 08:00:00+00', '2024-03-02 09:30:00.123456+00');
INSERT INTO e2i.patient_journeys VALUES ('j2', 'p2', NULL, 'Kisqali', 'hr_her2_bc', NULL, NULL, '2023-02-01', '2023-02-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2024-03-01 08:00:00+00', '2024-03-02 09:30:00.123456+00');
INSERT INTO e2i.treatment_events VALUES ('e1', 'j1', 'p1', 'h1', '2024-02-15', 'prescription', 'btk', 'Remibrutinib', NULL, 30, 1234.5, false, false, '2024-03-01 08:00:00+00', '2024-03-02 09:30:00.123456+00');
INSERT INTO e2i.treatment_events VALUES ('e2', 'j1', 'p1', NULL, '2024-01-02', 'lab_test', 'ige', NULL, 151.0625, NULL, NULL, NULL, NULL, '2024-03-01 08:00:00+00', '2024-03-02 09:30:00.123456+00');
INSERT INTO e2i.triggers VALUES ('t1', 'j1', 'p1', 'h1', '2024-01-21', 'new_start', 'high', 0.8, 14, '2024-02-04', 'email', 'viewed', 'accepted', 0.4);
INSERT INTO e2i.triggers VALUES ('t2', 'j2', 'p2', NULL, '2023-02-01', 'adherence', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT pg_catalog.setval('e2i.ml_bentoml_services_id_seq', 1, true);
SELECT pg_catalog.setval('e2i.ml_cohort_eligibility_log_id_seq', 2, true);
SELECT pg_catalog.setval('e2i.ml_data_quality_reports_id_seq', 2, true);
SELECT pg_catalog.setval('e2i.ml_gate_results_id_seq', 2, true);
SELECT pg_catalog.setval('e2i.ml_hpo_studies_id_seq', 1, true);
SELECT pg_catalog.setval('e2i.ml_load_batches_load_id_seq', 2, true);
SELECT pg_catalog.setval('e2i.ml_split_access_id_seq', 2, true);
SELECT pg_catalog.setval('e2i.ml_training_runs_id_seq', 2, true);
ALTER TABLE ONLY e2i.business_metrics
    ADD CONSTRAINT business_metrics_pkey PRIMARY KEY (metric_id);
ALTER TABLE ONLY e2i.causal_paths
    ADD CONSTRAINT causal_paths_pkey PRIMARY KEY (path_id);
ALTER TABLE ONLY e2i.hcp_profiles
    ADD CONSTRAINT hcp_profiles_npi_key UNIQUE (npi);
ALTER TABLE ONLY e2i.hcp_profiles
    ADD CONSTRAINT hcp_profiles_pkey PRIMARY KEY (hcp_id);
ALTER TABLE ONLY e2i.ml_bentoml_services
    ADD CONSTRAINT ml_bentoml_services_bento_tag_key UNIQUE (bento_tag);
ALTER TABLE ONLY e2i.ml_bentoml_services
    ADD CONSTRAINT ml_bentoml_services_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.ml_cohort_definitions
    ADD CONSTRAINT ml_cohort_definitions_pkey PRIMARY KEY (config_hash);
ALTER TABLE ONLY e2i.ml_cohort_eligibility_log
    ADD CONSTRAINT ml_cohort_eligibility_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.ml_data_quality_reports
    ADD CONSTRAINT ml_data_quality_reports_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.ml_gate_results
    ADD CONSTRAINT ml_gate_results_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.ml_hpo_studies
    ADD CONSTRAINT ml_hpo_studies_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.ml_load_batches
    ADD CONSTRAINT ml_load_batches_pkey PRIMARY KEY (load_id);
ALTER TABLE ONLY e2i.ml_predictions
    ADD CONSTRAINT ml_predictions_pkey PRIMARY KEY (prediction_id);
ALTER TABLE ONLY e2i.ml_split_access
    ADD CONSTRAINT ml_split_access_once UNIQUE (model_fingerprint, split);
ALTER TABLE ONLY e2i.ml_split_access
    ADD CONSTRAINT ml_split_access_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.ml_split_assignments
    ADD CONSTRAINT ml_split_assignments_pkey PRIMARY KEY (partition, patient_id);
ALTER TABLE ONLY e2i.ml_training_runs
    ADD CONSTRAINT ml_training_runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY e2i.patient_journeys
    ADD CONSTRAINT patient_journeys_pkey PRIMARY KEY (patient_journey_id);
ALTER TABLE ONLY e2i.treatment_events
    ADD CONSTRAINT treatment_events_pkey PRIMARY KEY (treatment_event_id);
ALTER TABLE ONLY e2i.triggers
    ADD CONSTRAINT triggers_pkey PRIMARY KEY (trigger_id);
CREATE INDEX ix_e2i_ml_predictions_hcp_id ON e2i.ml_predictions USING btree (hcp_id);
CREATE INDEX ix_e2i_ml_predictions_patient_journey_id ON e2i.ml_predictions USING btree (patient_journey_id);
CREATE INDEX ix_e2i_patient_journeys_hcp_id ON e2i.patient_journeys USING btree (hcp_id);
CREATE INDEX ix_e2i_treatment_events_hcp_id ON e2i.treatment_events USING btree (hcp_id);
CREATE INDEX ix_e2i_treatment_events_patient_journey_id ON e2i.treatment_events USING btree (patient_journey_id);
CREATE INDEX ix_e2i_triggers_hcp_id ON e2i.triggers USING btree (hcp_id);
CREATE INDEX ix_e2i_triggers_patient_journey_id ON e2i.triggers USING btree (patient_journey_id);
ALTER TABLE ONLY e2i.ml_cohort_eligibility_log
    ADD CONSTRAINT ml_cohort_eligibility_log_config_hash_fkey FOREIGN KEY (config_hash) REFERENCES e2i.ml_cohort_definitions(config_hash);
ALTER TABLE ONLY e2i.ml_predictions
    ADD CONSTRAINT ml_predictions_hcp_id_fkey FOREIGN KEY (hcp_id) REFERENCES e2i.hcp_profiles(hcp_id) ON DELETE CASCADE;
ALTER TABLE ONLY e2i.ml_predictions
    ADD CONSTRAINT ml_predictions_patient_journey_id_fkey FOREIGN KEY (patient_journey_id) REFERENCES e2i.patient_journeys(patient_journey_id) ON DELETE CASCADE;
ALTER TABLE ONLY e2i.patient_journeys
    ADD CONSTRAINT patient_journeys_hcp_id_fkey FOREIGN KEY (hcp_id) REFERENCES e2i.hcp_profiles(hcp_id) ON DELETE CASCADE;
ALTER TABLE ONLY e2i.treatment_events
    ADD CONSTRAINT treatment_events_hcp_id_fkey FOREIGN KEY (hcp_id) REFERENCES e2i.hcp_profiles(hcp_id) ON DELETE CASCADE;
ALTER TABLE ONLY e2i.treatment_events
    ADD CONSTRAINT treatment_events_patient_journey_id_fkey FOREIGN KEY (patient_journey_id) REFERENCES e2i.patient_journeys(patient_journey_id) ON DELETE CASCADE;
ALTER TABLE ONLY e2i.triggers
    ADD CONSTRAINT triggers_hcp_id_fkey FOREIGN KEY (hcp_id) REFERENCES e2i.hcp_profiles(hcp_id) ON DELETE CASCADE;
ALTER TABLE ONLY e2i.triggers
    ADD CONSTRAINT triggers_patient_journey_id_fkey FOREIGN KEY (patient_journey_id) REFERENCES e2i.patient_journeys(patient_journey_id) ON DELETE CASCADE;
