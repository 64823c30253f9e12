"""What the feature builder refuses."""

from e2i_assets.errors import E2IError


class FeatureError(E2IError, ValueError):
    """Features cannot be built; the message names the columns and the rule, never a value."""

    code = "features"
    next_step = "Declare the columns in the cohort file, or correct the data that the message names."
