"""Jobs: what a run of one partition covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import dagster as dg

from e2i_assets.partitions import partitions

REFRESH, DEPLOY, ARCHIVE = "refresh", "deploy", "archive"
ASKED_FOR = ("deployment", "holdout_validation")
"""Stages of a scope that only a person asks for: what answers in production is changed by a decision, not by
data that arrived."""


def build_jobs(scopes: Iterable[str]) -> list[Any]:  # Dagster does not export the type
    """Refresh, from raw tables to registered models, and deploy, which goes on from there."""
    deployment = dg.AssetSelection.assets(*([scope, stage] for scope in scopes for stage in ASKED_FOR))
    return [
        dg.define_asset_job(
            REFRESH,
            selection=dg.AssetSelection.all() - deployment,
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
    ]


def served_assets(
    keys: Iterable[dg.AssetKey], scopes: Collection[str], all_scopes: Collection[str], job: str = REFRESH
) -> list[dg.AssetKey]:
    """The assets of a job that apply to a partition: shared ones and those of the scopes that serve it."""
    return [
        key
        for key in keys
        if (key.path[-1] in ASKED_FOR) == (job == DEPLOY)
        and (key.path[0] not in all_scopes or key.path[0] in scopes)
    ]
