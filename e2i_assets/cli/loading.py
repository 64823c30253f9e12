"""Load with a bar, whatever the rows come from."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from e2i_assets.ingest.load import Load, LoadReport
from e2i_assets.partitions import declared_partitions
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse


def load_with_progress(
    here: Settings, warehouse: Warehouse, load: Load, *, dry_run: bool, show: bool
) -> LoadReport:
    """Load with a bar that counts rows, and says how many there are in a second.

    Raises:
        LoadError: see `Warehouse.load`.
    """
    known = declared_partitions(here.config_dir)
    pace = TextColumn("{task.fields[pace]}")
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), pace, TimeElapsedColumn())
    with Progress(*bar, console=Console(stderr=True), disable=not show) as progress:
        tasks = {
            done: progress.add_task(f"rows {done}", total=load.size, pace="")
            for done in ("read", "published")
        }

        def advance(done: str, table: str, rows: int) -> None:
            task = progress.tasks[tasks[done]]
            per_second = f"{(task.completed + rows) / task.elapsed:,.0f} rows/s" if task.elapsed else ""
            progress.update(task.id, advance=rows, pace=per_second)

        report = warehouse.load(load, known, dry_run=dry_run, progress=advance)
        # Fewer are published than read where rows were rejected.
        for task in tasks.values():
            progress.update(task, total=progress.tasks[task].completed)
        return report
