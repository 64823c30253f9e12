"""`e2i audit kpi`: what the indicators ask for, whether the database has it, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from e2i_assets.cli.output import print_json, say, show_table, warn_of_wrong_files
from e2i_assets.cli.session import open_session
from e2i_assets.cohorts.small_cells import Cells
from e2i_assets.kpis.file import load_kpis
from e2i_assets.kpis.page import kpi_page
from e2i_assets.kpis.report import WORDS, KpiReport, KpiResult
from e2i_assets.partitions import cohort_config, cohort_configs
from e2i_assets.settings import Settings
from e2i_assets.stages.context import quality_of
from e2i_assets.warehouse.queries.kpis import measure_kpis


def run_kpis(partitions: Sequence[str], *, html: Path | None, markdown: Path | None, as_json: bool) -> int:
    """Print the indicators of each partition; 1 where one has no value, or a critical one.

    Raises:
        KpiFileError: a file of indicators is wrong.
        UnknownPartition: there is no such partition.
    """
    here, warehouse = open_session()
    warn_of_wrong_files(here.config_dir)
    groups = load_kpis(here.config_dir)
    wanted = {key: cohort_config(here.config_dir, key) for key in partitions} or cohort_configs(
        here.config_dir
    )
    with Console(stderr=True, quiet=as_json).status("asking the warehouse"):
        reports = [
            measure_kpis(warehouse, groups, key, cohort.partition_key, here.today, _cells(here, key))
            for key, cohort in wanted.items()
        ]
    if html is not None:
        html.write_text(kpi_page(reports), encoding="utf-8")
    if markdown is not None:
        markdown.write_text("\n".join(report.to_markdown() for report in reports), encoding="utf-8")
    if as_json:
        print_json({report.partition: report.document() for report in reports})
    else:
        for report in reports:
            _show(report)
    for file in filter(None, (html, markdown)):
        say(f"report: {file}", as_json=as_json)
    return int(not all(report.ok for report in reports))


def _cells(here: Settings, partition: str) -> Cells:
    hide = here.small_cells == "hide"
    return Cells(quality_of(here, partition).minimum_cell_count if hide else None)


def _show(report: KpiReport) -> None:
    rows = [
        [one.kpi.id, one.kpi.name, one.with_unit, _target(one), WORDS[one.standing]] for one in report.results
    ]
    show_table(f"{report.partition}, {report.today}", ["KPI", "name", "value", "target", "standing"], rows)
    for one in report.results:
        if one.why:
            say(f"{one.kpi.id} {WORDS[one.standing]}, {one.why}")
    say(f"{report.summary}\n")


def _target(one: KpiResult) -> str:
    return one.limits.split(" / ")[0]
