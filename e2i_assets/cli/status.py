"""`e2i data status`: what the warehouse holds, and how old it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import typer
from rich.console import Console

from e2i_assets.api.documents import data_status
from e2i_assets.cli.output import print_json, show_table, warn_of_wrong_files
from e2i_assets.cli.session import open_session
from e2i_assets.partitions import cohort_configs
from e2i_assets.warehouse.table_status import LastLoad, TableStatus, total

HEADS = ["rows", "rejected", "first", "last", "age", "load"]


def run_status(partition: str | None, *, as_json: bool) -> None:
    """Print the tables and the partitions, or each table of one partition; JSON has all of it.

    Raises:
        typer.BadParameter: there is no such partition.
    """
    here, warehouse = open_session()
    warn_of_wrong_files(here.config_dir)
    known = {key: one.partition_key for key, one in cohort_configs(here.config_dir).items()}
    if partition and partition not in known:
        raise typer.BadParameter(f"no partition {partition!r}; there are {', '.join(known)}")
    now = dt.datetime.now(dt.UTC)
    # Seconds for a million patients.
    with Console(stderr=True, quiet=as_json).status("counting rows"):
        tables = warehouse.status()
        statuses_of = warehouse.status_of(list(known.values()))
    parts = {key: statuses_of[pair] for key, pair in known.items()}
    if as_json:
        print_json(data_status(tables, parts, now))
        return
    shown = parts[partition] if partition else [*tables, *(total(statuses) for statuses in parts.values())]
    title = f"Tables of {partition}" if partition else "Tables"
    tables = parts[partition] if partition else tables
    show_table(title, ["table", *HEADS], [[h.table, *_cells(h, now)] for h in tables])
    if not partition:
        rows = [[key, *_cells(total(statuses), now)] for key, statuses in parts.items()]
        show_table("Partitions, all tables", ["partition", *HEADS], rows)
    _show_loads([h.last_load for h in shown if h.last_load], now)


def _cells(status: TableStatus, now: dt.datetime) -> list[str | None]:
    age = (now.date() - status.last_date).days if status.last_date else None
    return [
        f"{status.rows:,}",
        f"{status.rejected:,}",
        str(status.first_date or ""),
        str(status.last_date or ""),
        None if age is None else f"{age:,} d",
        str(status.last_load.load_id) if status.last_load else "none",
    ]


def _show_loads(loads: Sequence[LastLoad], now: dt.datetime) -> None:
    distinct = sorted({load.load_id: load for load in loads}.values(), key=lambda load: load.load_id)
    rows = [
        [
            str(load.load_id),
            f"{load.committed_at:%Y-%m-%d %H:%M}",
            f"{(now - load.committed_at).days:,} d",
            load.source,
        ]
        for load in distinct
    ]
    if rows:
        show_table("Loads", ["load", "committed (UTC)", "age", "source"], rows)
