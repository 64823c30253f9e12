"""`e2i data check`: the rows that quality control refuses, for whoever corrects the source."""

from __future__ import annotations

import polars as pl
import typer

from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.patients import PatientJourneys
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.errors import E2IError
from e2i_assets.ingest import attributes
from e2i_assets.json_files import to_json
from e2i_assets.partitions import cohort_config, cohort_files
from e2i_assets.quality.broken_rows import broken_rows
from e2i_assets.quality.plausibility import LifeDates
from e2i_assets.warehouse.warehouse import Warehouse

SHOWN = 50


class NothingToCheck(E2IError, ValueError):
    """A partition without rows, of which nothing can be said."""

    code = "nothing_to_check"


def run_check(partition: str, *, as_json: bool) -> int:
    """Print the keys of the rows with the rules that they break; 1 when there are any.

    Raises:
        typer.BadParameter: there is no such partition.
        NothingToCheck: the warehouse has no rows of it.
    """
    here, warehouse = open_session()
    if partition not in (known := cohort_files(here.config_dir)):
        raise typer.BadParameter(f"no partition {partition!r}; there are {', '.join(known)}")
    config = cohort_config(here.config_dir, partition)
    tables = _extracts(warehouse, config)
    if tables[PatientJourneys.Config.name].is_empty():
        raise NothingToCheck(
            f"the warehouse has no rows of {config.brand}/{config.indication}, so nothing was checked.",
            "Load some with `e2i data import`.",
        )
    rows = list(broken_rows(tables, LifeDates.of(config)))
    if as_json:
        print_json({"partition": partition, "rows": [to_json(row) for row in rows]})
        return int(bool(rows))
    if rows:
        cells = [[row.table, row.key, row.column, row.rule] for row in rows[:SHOWN]]
        show_table(f"Rows of {partition}", ["table", "key", "column", "rule"], cells)
    more = f"; the first {SHOWN} are shown, --json has all" if len(rows) > SHOWN else ""
    say(f"{len(rows):,} times a row breaks a rule{more}")
    return int(bool(rows))


def _extracts(warehouse: Warehouse, config: CohortConfig) -> dict[str, pl.DataFrame]:
    tables = {}
    with warehouse.snapshot(config.brand, config.indication) as snapshot:
        for name in RAW_TABLES:
            frame = snapshot.extract(name).frame
            if attributes.COLUMN in frame.columns:
                frame = attributes.expand(frame, config.attributes)
            tables[name] = frame
    return tables
