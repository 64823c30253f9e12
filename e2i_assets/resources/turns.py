"""Dagster's side of turns: a run has its partition to itself from before its first stage until it ends."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from e2i_assets.warehouse.turns import Turn


@dg.resource(required_resource_keys={"settings"}, description="One run of a partition at a time.")
def partition_turn(context: dg.InitResourceContext) -> Iterator[Turn | None]:
    """Wait until no other run has the partition; the other's id is in the log."""
    run = context.run
    partition = run.tags.get("dagster/partition") if run else None
    if run is None or partition is None:
        yield None  # it is of no partition
        return

    def tell(other: str) -> None:
        assert context.log is not None
        context.log.info(f"waits: run {other} has {partition}, one run of a partition goes on at a time")

    with Turn(context.resources.settings, partition, run.run_id, on_wait=tell) as turn:
        yield turn
