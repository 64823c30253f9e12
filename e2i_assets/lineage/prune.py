"""Retention: finds what may go, and removes it while no run has the partition and nobody asks for a release.

Rows of PostgreSQL stay, so that what was there can still be told.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.lineage.retention import (
    BUNDLE,
    Keep,
    Records,
    bundles_to_go,
    logs_to_go,
    releases_to_go,
    runs_to_go,
    seals_to_go,
    versions_to_go,
)
from e2i_assets.resources.kept_files import Kept, KeptFiles, local_size
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import Releases, history, releases
from e2i_assets.warehouse.queries.gates import refused_versions
from e2i_assets.warehouse.queries.models import bundle_tags, mlflow_runs
from e2i_assets.warehouse.queries.publications import makings, published_partitions
from e2i_assets.warehouse.queries.registry import models
from e2i_assets.warehouse.turns import Turn

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse


RUNS = "runs of Dagster"
"""What stands in the place of a partition where it is about what runs printed."""


@dataclass(frozen=True)
class PartitionPlan:
    """What goes of one partition, or in its place of one service, or of Dagster's runs.

    Attributes:
        left: why something, or all of it, is left alone; None where nothing is.
    """

    partition: str
    going: tuple[Kept, ...]
    left: str | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(kept.size for kept in self.going)


class _Busy(E2IError):
    """A run has the partition."""

    code = "partition_busy"


class Pruner:
    """Retention of one installation."""

    def __init__(
        self, here: Settings, warehouse: Warehouse, store: ArtifactStore, instance: dg.DagsterInstance
    ) -> None:
        self._here, self._warehouse, self._store, self._instance = here, warehouse, store, instance
        self._files = KeptFiles(here)

    def plan(self, keep: Keep) -> list[PartitionPlan]:
        """What would go of each partition that anything was published of, of each service, and of runs."""
        plans = [self._plan(partition, keep) for partition in published_partitions(self._warehouse)]
        for service in self._services():
            with releases(self._warehouse, service) as asked:
                plans.append(self._plan_service(asked, keep))
        if logs := logs_to_go(self._run_logs(), keep):
            plans.append(PartitionPlan(RUNS, tuple(logs)))
        return plans

    def carry_out(
        self,
        plans: Sequence[PartitionPlan],
        keep: Keep,
        *,
        on_removed: Callable[[Kept], None] = lambda _: None,
    ) -> list[PartitionPlan]:
        """Remove what was planned and may still go; of a partition that a run has, nothing.

        Returns:
            What went of each partition.

        Raises:
            WarehouseUnavailable: the database cannot be reached.
        """
        removals = {RUNS: self._remove_logs, **dict.fromkeys(self._services(), self._remove_releases)}
        return [
            removals.get(plan.partition, self._remove)(plan, keep, on_removed) for plan in plans if plan.going
        ]

    def _services(self) -> list[str]:
        return sorted({release.service_name for release in history(self._warehouse)})

    def _run_logs(self) -> Iterator[Kept]:
        """Those of runs that have ended, the newest first."""
        folders = self._files.run_logs()
        if not folders:
            return
        for record in self._instance.get_run_records(dg.RunsFilter(run_ids=list(folders))):
            run, folder = record.dagster_run, folders[record.dagster_run.run_id]
            if run.is_finished:
                whose = run.tags.get("dagster/partition", run.job_name)
                heard_of = record.update_timestamp.replace(tzinfo=dt.UTC)
                yield Kept("run log", whose, run.run_id, str(folder), local_size(folder), heard_of)

    def _remove_logs(
        self, plan: PartitionPlan, keep: Keep, on_removed: Callable[[Kept], None]
    ) -> PartitionPlan:
        for kept in plan.going:  # a run that has ended prints nothing more
            self._files.remove(kept)
            on_removed(kept)
        return plan

    def _plan_service(self, asked: Releases, keep: Keep) -> PartitionPlan:
        state = asked.state()
        needed = {one.release for one in (state.wanted, state.active, state.previous) if one}
        stored = self._files.releases(asked.service)
        going = releases_to_go(stored, asked.history(), needed, keep)
        return PartitionPlan(asked.service, (*going, *self._files.left_over(asked.service)))

    def _remove_releases(
        self, plan: PartitionPlan, keep: Keep, on_removed: Callable[[Kept], None]
    ) -> PartitionPlan:
        gone: list[Kept] = []
        with releases(self._warehouse, plan.partition) as asked:  # whoever asks for one waits for us
            paths = {kept.path for kept in self._plan_service(asked, keep).going}
            for kept in plan.going:
                if kept.path in paths:
                    self._files.remove(kept)
                    gone.append(kept)
                    on_removed(kept)
        return PartitionPlan(plan.partition, tuple(gone))

    def _remove(self, plan: PartitionPlan, keep: Keep, on_removed: Callable[[Kept], None]) -> PartitionPlan:
        def busy(_: str) -> None:
            raise _Busy("a run has the partition")

        gone: list[Kept] = []
        try:
            # Whoever publishes has the turn from before its first stage on, and waits for us.
            with Turn(self._here, plan.partition, f"prune {uuid.uuid4().hex[:8]}", on_wait=busy) as own:
                now = self._plan(plan.partition, keep)
                paths = {kept.path for kept in now.going}
                for kept in plan.going:
                    if kept.path in paths:
                        if not own.keep():
                            raise _Busy("whoever had it meanwhile may have published")
                        self._files.remove(kept)
                        gone.append(kept)
                        on_removed(kept)
        except _Busy:
            return PartitionPlan(plan.partition, tuple(gone), "a run has it; prune again once that has ended")
        return PartitionPlan(plan.partition, tuple(gone), now.left)

    def _plan(self, partition: str, keep: Keep) -> PartitionPlan:
        stored = list(self._files.versions(partition))
        assets = sorted({kept.version[0] for kept in stored})
        try:
            records = self._records(partition, assets)
        except ArtifactRefused as error:
            # Without its pointer nobody knows what is published.
            return PartitionPlan(partition, (), error.summary)
        versions = versions_to_go(stored, records, keep)
        staying = {kept.version for kept in stored} - {kept.version for kept in versions}
        sealed = seals_to_go(self._files.sealed_splits(partition), staying, records)
        rest = [*self._bundles(partition, staying, records)]
        for run_id in runs_to_go(staying, records):
            rest += self._files.mlflow_files(partition, run_id)
        unknown = sum(kept.version not in records.known for kept in stored)
        left = f"{unknown} versions of which this database has no record" if unknown else None
        left_over = self._files.left_over(partition)
        sized = map(self._files.sized, versions)
        return PartitionPlan(partition, (*sized, *sealed, *rest, *left_over), left)

    def _records(self, partition: str, assets: Sequence[str]) -> Records:
        current = (self._store.current(asset, partition) for asset in assets)
        return Records(
            makings(self._warehouse, partition),
            refused_versions(self._warehouse, partition),
            [(one.asset, one.version) for one in current if one is not None],
            [v for model in models(self._warehouse) for v in model.versions if v.partition == partition],
            bundle_tags(self._warehouse, partition),
            mlflow_runs(self._warehouse, partition),
        )

    def _bundles(self, partition: str, staying: set[tuple[str, str]], records: Records) -> Iterator[Kept]:
        for name in sorted({tag.partition(":")[0] for tag in records.built}):
            scope = name.removeprefix("e2i-").removesuffix(f"-{partition}")
            bundles = self._files.bundles(partition, name)
            yield from bundles_to_go(bundles, name, f"{scope}/{BUNDLE}", staying, records)
