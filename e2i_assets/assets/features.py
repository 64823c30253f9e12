"""Features: what was known about each member before the index date, and the outcomes that followed."""

from __future__ import annotations

from dataclasses import asdict

from e2i_assets.assets import shown
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.features import FeatureSet, build_features
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage


@stage(
    key="features",
    group="features",
    description="One row per cohort member: journey, clinical, HCP and event features from before the index "
    "date, with the outcomes kept apart.",
    kinds={"polars", "parquet"},
    inputs={"cohort": "cohort"},
    config=lambda context: {
        "cohort_config": context.cohort_config.model_dump(mode="json"),
        "minimum_cell_count": context.quality.minimum_cell_count,
        "small_cells": asdict(context.cells),
    },
)
def features(context: StageContext, cohort: Cohort) -> StageResult:
    """Build the feature set from the cohort's own raw versions."""
    cohort_config = context.cohort_config
    windows = cohort_config.temporal_requirements
    feature_set: FeatureSet = build_features(
        cohort.members,
        context.read_raw("treatment_events", cohort.raw_versions, RawTable).frame,
        context.read_raw("hcp_profiles", cohort.raw_versions, RawTable).frame,
        index_date_field=windows.index_date_field if windows else None,
        lookback_days=windows.lookback_days if windows else 0,
        attributes=cohort_config.attributes,
        include=cohort_config.features.include,
        exclude=cohort_config.features.exclude,
        event_subtypes=cohort_config.features.event_subtypes,
        event_windows=cohort_config.features.event_windows,
        minimum_cell_count=context.quality.minimum_cell_count,
    )
    return StageResult(
        feature_set,
        metadata={
            "dagster/partition_row_count": context.cells.rounded(len(feature_set.frame)),
            "dagster/column_schema": shown.feature_schema(feature_set.features),
            "features": len(feature_set.features),
            "dropped": shown.table({"column": k, "reason": v} for k, v in feature_set.dropped.items()),
        },
    )
