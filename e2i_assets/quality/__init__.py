"""Is the data fit for use? Contract, five graded dimensions and business rules.

Verdicts only: what a verdict stops, and where it is recorded, is decided elsewhere.
"""

from e2i_assets.quality.config import QualityConfig, QualityConfigError
from e2i_assets.quality.plots import dimension_chart
from e2i_assets.quality.report import QCReport, build_qc_report
from e2i_assets.quality.schema import SchemaFailure, SchemaResult, check_schema
from e2i_assets.quality.splits import SplitQuality, UngradedSplit, grade_splits
from e2i_assets.quality.validator import DataQualityValidator, TableValidation

__all__ = [
    "DataQualityValidator",
    "QCReport",
    "QualityConfig",
    "QualityConfigError",
    "SchemaFailure",
    "SchemaResult",
    "SplitQuality",
    "TableValidation",
    "UngradedSplit",
    "build_qc_report",
    "check_schema",
    "dimension_chart",
    "grade_splits",
]
