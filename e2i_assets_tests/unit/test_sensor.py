"""The sensor's decision: which partitions a load has touched since their raw tables were extracted."""

from __future__ import annotations

import dagster as dg

from e2i_assets.automation.jobs import served_assets
from e2i_assets.automation.sensors import Due, due


def test_only_partitions_behind_their_load_are_due() -> None:
    loads = {"current": 3, "behind": 4, "never extracted": 1, "never loaded": None}
    published = {"current": 3, "behind": 2, "never extracted": None, "never loaded": None}
    assert due(loads, published) == [Due("behind", 4), Due("never extracted", 1)]


def test_a_partition_runs_the_shared_assets_and_those_of_its_scopes() -> None:
    keys = [
        dg.AssetKey("cohort"),
        dg.AssetKey(["conversion", "evaluation"]),
        dg.AssetKey(["recurrence", "evaluation"]),
    ]
    assert served_assets(keys, ["recurrence"], ["conversion", "recurrence"]) == [keys[0], keys[2]]
