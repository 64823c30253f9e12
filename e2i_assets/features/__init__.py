"""Features: what was known about a patient before the index date, one row per cohort member."""

from e2i_assets.contracts.variables import Feature
from e2i_assets.features.build import build_features
from e2i_assets.features.errors import FeatureError
from e2i_assets.features.feature_set import FeatureSet

__all__ = ["Feature", "FeatureError", "FeatureSet", "build_features"]
