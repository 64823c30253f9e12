"""Jobs: what a run of one partition covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import dagster as dg

from e2i_assets.partitions import partitions

REFRESH = "refresh"


def build_refresh_job() -> Any:  # Dagster does not export the type
    """Everything of one partition, from raw tables to bundles; unchanged stages stand."""
    return dg.define_asset_job(
        REFRESH,
        selection=dg.AssetSelection.all(),
        partitions_def=partitions(),
        description="One partition from raw tables to Bento bundles. Stages whose inputs, code and "
        "configuration are unchanged stand as published.",
    )


def served_assets(
    keys: Iterable[dg.AssetKey], scopes: Collection[str], all_scopes: Collection[str]
) -> list[dg.AssetKey]:
    """The assets that apply to a partition: the shared ones and those of the scopes that it is served by."""
    return [key for key in keys if key.path[0] not in all_scopes or key.path[0] in scopes]
