"""Grades of partitions and of their splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from e2i_assets.json_files import to_json
from e2i_assets.quality.config import DIMENSIONS
from e2i_assets.quality.report import QCReport
from e2i_assets.quality.splits import SplitQuality
from e2i_assets.warehouse.records import data_quality_reports

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


def record_quality(warehouse: Warehouse, partition: str, run_id: str, report: QCReport) -> None:
    """Write down the report of a partition's raw tables."""
    row = {
        "partition": partition,
        "overall_status": report.status,
        "overall_score": report.score,
        **{f"{dimension}_score": report.dimensions.get(dimension) for dimension in DIMENSIONS},
        "expectations_evaluated": sum(suite.evaluated for suite in report.suites),
        "expectations_failed": sum(len(suite.failed) for suite in report.suites),
        "report": to_json(report),
        "run_id": run_id,
    }
    warehouse.record(data_quality_reports, [row])


def record_split_quality(
    warehouse: Warehouse, partition: str, run_id: str, grades: Sequence[SplitQuality]
) -> None:
    """Write down the grades of a partition's splits."""
    rows = [
        {
            "partition": partition,
            "split": grade.split,
            "overall_status": grade.status,
            "overall_score": grade.score,
            **{f"{dimension}_score": score for dimension, score in grade.dimensions.items()},
            "expectations_evaluated": 0,
            "expectations_failed": 0,
            "report": to_json(grade),
            "run_id": run_id,
        }
        for grade in grades
    ]
    warehouse.record(data_quality_reports, rows)


def quality_history(warehouse: Warehouse, partition: str, newest: int) -> list[dict[str, Any]]:
    """The newest reports of a partition's raw tables, oldest first.

    Returns:
        Mappings of `run_at`, `overall_status`, `overall_score` and the `<dimension>_score` of each dimension.
    """
    reports = data_quality_reports.c
    shown = [reports.run_at, reports.overall_status, reports.overall_score]
    shown += [reports[f"{dimension}_score"] for dimension in DIMENSIONS]
    query = (
        sa.select(*shown)
        .where(reports.partition == partition, reports.split.is_(None))
        .order_by(reports.id.desc())
        .limit(newest)
    )
    with warehouse.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()][::-1]
