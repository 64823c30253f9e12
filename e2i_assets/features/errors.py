"""What the feature builder refuses."""


class FeatureError(ValueError):
    """Features cannot be built; the message names the columns and the rule, never a value."""
