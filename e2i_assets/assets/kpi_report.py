"""KPI report: what the indicators of config/kpis come to, from the warehouse as it is. It blocks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dagster as dg

from e2i_assets.assets import shown
from e2i_assets.gates.kpi_report import KPIS_MET
from e2i_assets.html_pages import template_hash
from e2i_assets.json_files import from_json, read_json, to_json, write_json
from e2i_assets.kpis.file import load_kpis
from e2i_assets.kpis.page import TEMPLATE, kpi_page
from e2i_assets.kpis.report import KpiReport
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.stage import StageResult, stage
from e2i_assets.warehouse.queries.kpis import measure_kpis

PAGE = "kpi_report.html"


@dataclass(frozen=True)
class KpiPage:
    """The report as it is kept.

    Attributes:
        page: HTML.
        record: how each indicator stands, as plain JSON types; aggregates only.
    """

    page: str
    record: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """kpi_report.html and record.json"""
        (folder / PAGE).write_text(self.page, encoding="utf-8")
        write_json(folder, "record.json", dict(self.record))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read both."""
        return cls((folder / PAGE).read_text(encoding="utf-8"), read_json(folder, "record.json"))


@stage(
    key="kpi_report",
    group="quality",
    description="The indicators of config/kpis, held against the tables that there are and computed from "
    "them: value, target, warning, critical, and what the others miss. Warns, and blocks nothing.",
    kinds={"html", "postgres"},
    warnings=(KPIS_MET,),
    config=lambda context: {"report": to_json(_measured(context)), "template": template_hash(TEMPLATE)},
)
def kpi_report(context: StageContext) -> StageResult:
    """Show what was measured when it was asked whether there is anything new."""
    report = from_json(KpiReport, context.config["report"])
    return StageResult(
        KpiPage(kpi_page([report]), report.document()),
        metadata={
            "today": str(report.today),
            **report.counts,
            "kpis": shown.table(
                {
                    "kpi": one.kpi.id, "name": one.kpi.name, "value": one.with_unit, "limits": one.limits,
                    "standing": one.standing, "why": one.why,
                }
                for one in report.results
            ),
            "report": dg.MetadataValue.md(report.to_markdown()),
        },
        warning_input=report,
        pages={"kpi_report": PAGE},
    )  # fmt: skip


def _measured(context: StageContext) -> KpiReport:
    return measure_kpis(
        context.warehouse,
        load_kpis(context.settings.config_dir),
        context.partition,
        context.cohort_config.partition_key,
        context.settings.today,
        context.cells,
    )
