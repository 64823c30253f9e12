"""Cohort: who is eligible, and how many each rule removed. Criteria live in config/cohorts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from e2i_assets.assets import shown
from e2i_assets.cohorts import CohortConstructor
from e2i_assets.cohorts.attrition import CohortResult
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.cohorts.flow import flow_picture
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.gates import cohort as rules
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.quality.report import QCReport
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.cohorts import record_cohort

SHOWN_SETS = 50


@stage(
    key="cohort",
    group="cohort",
    description="Eligible patients of the partition, drawn from the raw versions that QC certifies.",
    kinds={"ibis", "parquet"},
    gates=(rules.COHORT_SIZE, rules.TEMPORAL_WINDOWS),
    inputs={"qc_report": "qc_report"},
    config=lambda context: {
        "cohort_config": context.cohort_config.model_dump(mode="json"),
        "small_cells": asdict(context.cells),  # what was shown once would be shown again
    },
)
def cohort(context: StageContext, qc_report: QCReport) -> StageResult:
    """Apply criteria and temporal windows."""
    cohort_config, cells = context.cohort_config, context.cells
    journeys = context.read_raw("patient_journeys", qc_report.raw_versions, RawTable).frame
    events = context.read_raw("treatment_events", qc_report.raw_versions, RawTable).frame
    members, result = CohortConstructor(cohort_config).construct_cohort(journeys, events)
    record_cohort(
        context.warehouse, context.partition, context.run_id, cohort_config, result, qc_report.raw_versions
    )
    return StageResult(
        Cohort(members, result, qc_report.raw_versions),
        gate_input=rules.CohortBuilt(
            members,
            result,
            cohort_config.temporal_requirements,
            cohort_config.minimum_size,
            cohort_config.death_date_field,
        ),
        metadata={
            "dagster/partition_row_count": cells.rounded(result.eligible_count),
            "journeys": cells.figure(result.total_count),
            "exclusion_rate": cells.share(result.excluded_count, result.total_count),
            "attrition": shown.table(_attrition(result, cells)),
            "flow": shown.image(flow_picture(result, cells)),
            "failing_together": shown.table(_together(result, cells)),
            "definition": result.config_hash,
        },
    )


def _attrition(result: CohortResult, cells: Cells) -> Iterator[dict[str, str | int]]:
    yield {
        "rule": "All journeys",
        "kind": "",
        "removed": 0,
        "no value": 0,
        "remaining": cells.figure(result.total_count),
        "removed by it alone": 0,
    }
    for entry in result.eligibility_log:
        yield {
            "rule": entry.label,
            "kind": entry.criterion_type,
            "removed": cells.figure(entry.removed_count),
            "no value": cells.figure(entry.null_count),
            "remaining": cells.figure(entry.remaining_count),
            "removed by it alone": cells.figure(entry.sole_removed_count),
        }


def _together(result: CohortResult, cells: Cells) -> Iterator[dict[str, str | int]]:
    """The most frequent sets of failed rules; `result.json` has all of them."""
    names = {entry.criterion_order: entry.criterion_name for entry in result.eligibility_log}
    for failed, unknown, rows in result.failing_together()[:SHOWN_SETS]:
        listed = (", ".join(names[number] for number in numbers) or "none" for numbers in (failed, unknown))
        yield {**dict(zip(("failed", "no value"), listed, strict=True)), "rows": cells.figure(rows)}
