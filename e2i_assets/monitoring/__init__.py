"""Watching what is live: whether data and models are still what they were, whom to tell, when to retrain.

Where profiles, answers and findings are kept is not known here.
"""

from e2i_assets.monitoring.drift import DriftReport, detect_drift
from e2i_assets.monitoring.errors import DriftError
from e2i_assets.monitoring.profile import ReferenceProfile

__all__ = ["DriftError", "DriftReport", "ReferenceProfile", "detect_drift"]
