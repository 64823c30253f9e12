"""`e2i prune`: shows what would go, asks, and frees it."""

from __future__ import annotations

import datetime as dt
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from e2i_assets.cli.instance import dagster_instance
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.json_files import to_json
from e2i_assets.lineage.prune import PartitionPlan, Pruner
from e2i_assets.lineage.retention import Keep
from e2i_assets.resources.kept_files import Kept
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings

ALWAYS_LEFT = (
    "rows in PostgreSQL (Dagster's of its runs among them), studies, and what MLflow has in its database"
)

PLURAL = {
    "sealed split": "sealed splits", "bundle": "bundles", "release": "releases",
    "MLflow files": "MLflow files", "run log": "run logs", "left over": "remains of what was killed",
}  # fmt: skip


def run_prune(keep: int, keep_days: int | None, *, sure: bool, as_json: bool) -> int:
    """Show what would go, and remove it once that is confirmed; with --json only where it is asked for."""
    from rich.console import Console
    from rich.progress import Progress

    here, warehouse = open_session()
    since = None if keep_days is None else dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)
    keeping = Keep(keep, since)
    pruner = Pruner(here, warehouse, open_store(here), dagster_instance())
    with Console(stderr=True, quiet=as_json).status("looking for what nothing needs"):
        plans = pruner.plan(keeping)
    if not as_json:
        _show(here, plans)
    going = [one for plan in plans for one in plan.going]
    if not going or not (sure or (not as_json and _confirmed())):
        if as_json:
            print_json(_document(plans, removed=False))
        elif going:
            say("nothing was removed")
        return 0
    with Progress(console=Console(stderr=True), disable=as_json) as progress:
        task = progress.add_task("removing", total=len(going))
        done = pruner.carry_out(plans, keeping, on_removed=lambda _: progress.advance(task))
    if as_json:
        print_json(_document(done, removed=True))
        return 0
    gone = [one for plan in done for one in plan.going]
    say(f"removed {len(gone)} of {len(going)}: {_size(gone)} are free")
    for plan in done:
        if plan.left:
            say(f"{plan.partition}: {plan.left}")
    return 0


def _confirmed() -> bool:
    import typer

    if not sys.stdin.isatty():
        say("nobody is there to be asked; --yes removes it")
        return False
    return typer.confirm("Remove all of that?")


def _show(here: Settings, plans: Sequence[PartitionPlan]) -> None:
    rows: list[tuple[str, str, int, str]] = []
    for plan in plans:
        groups: dict[str, list[Kept]] = defaultdict(list)
        for kept in plan.going:
            groups[kept.version[0] if kept.kind == "version" else PLURAL[kept.kind]].append(kept)
        rows += [(plan.partition, what, len(those), _size(those)) for what, those in groups.items()]
    going = [one for plan in plans for one in plan.going]
    if rows:
        show_table("What would go", ["partition or service", "what", "number", "size"], rows)
    say(f"{len(going)} in all, {_size(going)}" if going else "nothing would go")
    for plan in plans:
        if plan.left:
            say(f"left alone in {plan.partition}: {plan.left}")
    team = ", and files on the team's MLflow server" if here.mlflow_tracking_uri else ""
    say(f"always left: {ALWAYS_LEFT}{team}")


def _size(those: Sequence[Kept]) -> str:
    size = sum(kept.size for kept in those)
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def _document(plans: Sequence[PartitionPlan], *, removed: bool) -> dict[str, Any]:
    return {
        "removed": removed,
        "bytes": sum(plan.size for plan in plans),
        "partitions": [{**to_json(plan), "bytes": plan.size} for plan in plans],
    }
