"""What a cohort file agrees on for its own data where `config/quality.yaml` does not fit, and why."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from e2i_assets.cohorts.criterion import StrictModel
from e2i_assets.config_files import Text

DimensionName = Literal["completeness", "validity", "consistency", "uniqueness", "timeliness"]
Refresh: TypeAlias = Literal["continuous", "none"]
"""Whether new data are expected. `none`, a finished trial, is judged neither by its age nor by its delay."""
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class DimensionTerms(StrictModel):
    """Thresholds of one dimension that differ from those of every partition.

    Attributes:
        threshold: grade below which the dimension is a finding.
        block_below: grade below which `no_blockers` refuses.
    """

    threshold: Share | None = None
    block_below: Share | None = None


class QualityTerms(StrictModel):
    """Thresholds of one partition; what is not named stays as `config/quality.yaml` has it.

    Attributes:
        reason: why they differ; the quality report shows it.
        block_below_score: weighted score below which `qc_score` refuses.
        max_staleness_days: age of the newest record from which on the data are too old.
        dimensions: thresholds of single dimensions.
    """

    reason: Text
    block_below_score: Share | None = None
    max_staleness_days: int | None = Field(default=None, gt=0)
    dimensions: dict[DimensionName, DimensionTerms] = Field(default={})

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.model_fields_set <= {"reason"}:
            raise ValueError("names no threshold that differs")
        return self
