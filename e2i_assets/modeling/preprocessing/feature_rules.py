"""What a scope says of the features that its models get; `feature_selection` does it."""

from __future__ import annotations

from pydantic import Field

from e2i_assets.config_files import ConfigModel


class FeatureSelection(ConfigModel):
    """What is left out: constants and copies always, the rest where a scope file asks for it.

    Attributes:
        max_same: share of rows with one and the same value from which on a feature is left out; a gap is a
            value. 1 leaves out constants only.
        max_correlation: of two numeric features that correlate more than this, either way, the one that
            says less about the target is left out. Gaps are filled with the median, as for the model.
        top_k: so many features are kept, by their share of a forest's impurity.
    """

    max_same: float = Field(default=1.0, gt=0.5, le=1)
    max_correlation: float | None = Field(default=None, gt=0, lt=1)
    top_k: int | None = Field(default=None, ge=1)
