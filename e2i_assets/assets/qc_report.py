"""QC report: three layers of quality control; the certificate of the raw versions that it names."""

from __future__ import annotations

from typing import Any

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.assets.attribute_names import LOAD, NEWEST, SNAPSHOT, STALE
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.gates import qc_report as rules
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.quality.datadocs import FOLDER
from e2i_assets.quality.freshness import stale_tables
from e2i_assets.quality.plausibility import LifeDates
from e2i_assets.quality.plots import dimension_chart, history_chart
from e2i_assets.quality.report import QCReport, build_qc_report
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.quality import quality_history, record_quality

_SHOWN = 30
"""Reports in the history."""


@stage(
    key="qc_report",
    group="quality",
    description="Schema, five quality dimensions and expectation suites over the raw tables. Names the raw "
    "versions that it certifies; the cohort reads those.",
    kinds={"pandera", "greatexpectations"},
    gates=(rules.SAME_SNAPSHOT, rules.NO_BLOCKERS, rules.QC_SCORE),
    inputs={name: dg.AssetKey(["raw", name]) for name in RAW_TABLES},
    config=lambda context: {
        "quality": context.quality.model_dump(mode="json"),
        "suites": context.config_files("expectations"),
        "cohort_config": context.cohort_config.model_dump(mode="json"),
        "stale": _stale(context),
        "not_collected": context.not_collected,
    },
)
def qc_report(
    context: StageContext,
    hcp_profiles: RawTable,
    patient_journeys: RawTable,
    treatment_events: RawTable,
    ml_predictions: RawTable,
    triggers: RawTable,
    business_metrics: RawTable,
    causal_paths: RawTable,
) -> StageResult:
    """Judge the raw tables together."""
    tables = {
        "hcp_profiles": hcp_profiles.frame,
        "patient_journeys": patient_journeys.frame,
        "treatment_events": treatment_events.frame,
        "ml_predictions": ml_predictions.frame,
        "triggers": triggers.frame,
        "business_metrics": business_metrics.frame,
        "causal_paths": causal_paths.frame,
    }
    report = build_qc_report(
        tables,
        attributes=context.cohort_config.attributes,
        raw_versions={name: published.version for name, published in context.inputs.items()},
        config=context.quality,
        required=context.cohort_config.required_tables,
        not_collected=context.config["not_collected"],
        stale=context.config["stale"],
        dates=LifeDates.of(context.cohort_config),
    )
    record_quality(context.warehouse, context.partition, context.run_id, report)
    history = quality_history(context.warehouse, context.partition, _SHOWN)
    origins = {
        name: rules.Origin(published.attributes.get(LOAD), published.attributes.get(SNAPSHOT))
        for name, published in context.inputs.items()
    }
    return StageResult(
        report,
        gate_input=rules.Quality(report, origins),
        metadata={
            "score": report.score,
            "status": report.status,
            "lowest_dimension": report.lowest_dimension,
            "fix_first": report.fix_first,
            "grades": shown.table(
                [
                    *(
                        {"table": graded.table, "rows": graded.rows, **graded.scores}
                        for graded in report.tables
                    ),
                    {"table": "all tables", "rows": sum(report.table_rows.values()), **report.dimensions},
                ]
            ),
            "timeliness": shown.table(_ages(context, report)),
            "report": dg.MetadataValue.md(report.to_markdown()),
            "dimensions": shown.image(dimension_chart(report)),
            "history": shown.table(history),
            "trend": shown.image(history_chart(history, report.score_threshold)),
        },
        attributes={STALE: context.config["stale"]},
        pages={"report_page": "report.html", "data_docs": f"{FOLDER}/index.html"},
    )


def _stale(context: StageContext) -> list[str]:
    """The day of judgement enters the fingerprint by this verdict alone: the next one computes nothing."""
    newest = {name: published.attributes.get(NEWEST) for name, published in context.inputs.items()}
    return stale_tables(newest, context.settings.today, context.quality)


def _ages(context: StageContext, report: QCReport) -> list[dict[str, Any]]:
    """Both figures of timeliness; the age is shown as it was, and is no part of the report."""
    return [
        {
            "table": graded.table,
            "newest record": str(fresh.newest),
            "days old when judged": (context.settings.today - fresh.newest).days if fresh.newest else None,
            "stale": fresh.stale,
            "fresh until": str(fresh.fresh_until),
            "arrived in time": 1 - fresh.late / graded.rows,
        }
        for graded in report.tables
        if (fresh := graded.freshness)
    ]
