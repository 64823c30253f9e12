"""The data tables, and their order for loading (parents first)."""

from __future__ import annotations

from e2i_assets.contracts.base import Table, facts_of
from e2i_assets.contracts.commercial import BusinessMetrics, CausalPaths, MlPredictions, Triggers
from e2i_assets.contracts.patients import HcpProfiles, PatientJourneys, TreatmentEvents
from e2i_assets.contracts.support import (
    DataSourceTracking,
    EtlPipelineMetrics,
    HcpIntentSurveys,
    MlAnnotations,
    ReferenceUniverse,
    UserSessions,
)

TABLES: dict[str, type[Table]] = {
    "hcp_profiles": HcpProfiles,
    "patient_journeys": PatientJourneys,
    "treatment_events": TreatmentEvents,
    "ml_predictions": MlPredictions,
    "triggers": Triggers,
    "business_metrics": BusinessMetrics,
    "causal_paths": CausalPaths,
    "reference_universe": ReferenceUniverse,
    "user_sessions": UserSessions,
    "data_source_tracking": DataSourceTracking,
    "ml_annotations": MlAnnotations,
    "etl_pipeline_metrics": EtlPipelineMetrics,
    "hcp_intent_surveys": HcpIntentSurveys,
}
"""Table name to contract, parents before children."""
RAW_TABLES = tuple(name for name, table in TABLES.items() if facts_of(table).partition_by)
"""Tables that partitions have their rows of: `raw/<table>`, and all that is made of them."""
