"""Problem definitions, patient splits, and everything between a feature frame and an evaluated model.

Plain pandas and scikit-learn: it knows neither where data is stored, nor how a model is tracked or served.
"""

from e2i_assets.modeling.selection.request import select_model
from e2i_assets.modeling.splits.enforcer import SplitEnforcer, SplitValidation

__all__ = ["SplitEnforcer", "SplitValidation", "select_model"]
