"""Jobs: what a run of one partition covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from e2i_assets.partitions import partitions

if TYPE_CHECKING:
    import dagster as dg

REFRESH, DEPLOY, WATCH, KPIS = "refresh", "deploy", "watch", "kpis"
ARCHIVE, RETRAIN = "archive", "ask_for_retraining"
ASKED_FOR = ("deployment", "holdout_validation")
"""Stages of a scope that only a person asks for: what answers in production is changed by a decision, not by
data that arrived."""
WATCHED = ("drift_report",)
"""Stages of a scope that watch what answers; a refresh neither waits for them nor fails with them."""

MEASURED = ("kpi_report",)
"""Shared stages that look at the warehouse as it is, and that nothing else is made from."""


def build_jobs(scopes: Collection[str]) -> list[Any]:  # Dagster does not export the type
    """Refresh, from raw tables to registered models; deploy, which goes on from there; watch; and KPIs."""
    import dagster as dg

    deployment, watching = (
        dg.AssetSelection.assets(*([scope, stage] for scope in scopes for stage in stages))
        for stages in (ASKED_FOR, WATCHED)
    )
    measuring = dg.AssetSelection.assets(*MEASURED)
    return [
        dg.define_asset_job(
            REFRESH,
            selection=dg.AssetSelection.all() - deployment - watching - measuring,
            partitions_def=partitions(),
            description="One partition from raw tables to registered models. Stages whose inputs, code and "
            "configuration are unchanged stand as published.",
        ),
        dg.define_asset_job(
            DEPLOY,
            selection=deployment,
            partitions_def=partitions(),
            description="The registered models of one partition answer, and are held against the holdout "
            "split once. Needs the reconciler: `e2i up`, or `e2i serve`.",
        ),
        dg.define_asset_job(
            WATCH,
            selection=watching,
            partitions_def=partitions(),
            description="What came since the answering versions of one partition were trained, against what "
            "they were trained on. Blocks nothing.",
        ),
        dg.define_asset_job(
            KPIS,
            selection=measuring,
            partitions_def=partitions(),
            description="The indicators of one partition, from the warehouse as it is. Blocks nothing.",
        ),
    ]


def job_of(key: dg.AssetKey) -> str:
    """The job that an asset is made by."""
    by_stage = {
        **dict.fromkeys(ASKED_FOR, DEPLOY),
        **dict.fromkeys(WATCHED, WATCH),
        **dict.fromkeys(MEASURED, KPIS),
    }
    return by_stage.get(key.path[-1], REFRESH)


def served_assets(
    keys: Iterable[dg.AssetKey], scopes: Collection[str], all_scopes: Collection[str], job: str = REFRESH
) -> list[dg.AssetKey]:
    """The assets of a job that apply to a partition: shared ones and those of the scopes that serve it."""
    return [
        key for key in keys if job_of(key) == job and (key.path[0] not in all_scopes or key.path[0] in scopes)
    ]
