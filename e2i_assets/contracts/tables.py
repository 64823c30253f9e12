"""The seven data tables, and their order for loading (parents first)."""

from __future__ import annotations

from e2i_assets.contracts.base import Table
from e2i_assets.contracts.commercial import BusinessMetrics, CausalPaths, MlPredictions, Triggers
from e2i_assets.contracts.patients import HcpProfiles, PatientJourneys, TreatmentEvents

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
