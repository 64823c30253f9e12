"""`e2i materialize --explain`: what a run would do, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from e2i_assets.automation.jobs import served_assets
from e2i_assets.build import build_resources
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.runner import selected_assets
from e2i_assets.json_files import to_json
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.partitions import cohort_config, wrong_files
from e2i_assets.settings import Settings
from e2i_assets.stages.explain import Outlook, explain


def run_explain(
    defs: dg.Definitions,
    here: Settings,
    partitions: Sequence[str],
    select: str,
    *,
    force: bool,
    as_json: bool,
) -> int:
    """Print what a run of the partitions would do; 1 where some stage could not run.

    Raises:
        NothingSelected: the selection is none, or selects no asset.
    """
    order = list(defs.resolve_asset_graph().toposorted_asset_keys)
    selected = selected_assets(defs, select)
    scopes, wrong = load_scopes(here.config_dir / "scopes"), wrong_files(here.config_dir)
    assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
    resources = build_resources(here)
    outlooks: dict[str, list[Outlook]] = {}
    for partition in partitions:
        if partition not in wrong:
            served = served_assets(order, cohort_config(here.config_dir, partition).scopes, scopes)
            keys = [key for key in served if key in selected]
            outlooks[partition] = explain(assets, resources, partition, keys, force=force)
    wrong = {partition: wrong[partition] for partition in partitions if partition in wrong}
    if as_json:
        listed = [
            {"partition": key, "stages": [to_json(one) for one in stages]} for key, stages in outlooks.items()
        ]
        print_json({"partitions": listed, "wrong": wrong})
    else:
        _show(outlooks, wrong)
    stuck = any(one.verdict == "cannot run" for stages in outlooks.values() for one in stages)
    return 1 if stuck or wrong else 0


def _show(outlooks: dict[str, list[Outlook]], wrong: dict[str, str]) -> None:
    for partition, stages in outlooks.items():
        rows = [
            [one.asset, one.verdict, "; ".join(reason.text for reason in one.reasons)]
            for one in stages
            if one.verdict != "reused"
        ]
        if rows:
            show_table(partition, ["stage", "verdict", "why"], rows)
        counts = Counter(one.verdict for one in stages)
        say(f"{partition}: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
    for partition, reason in wrong.items():
        say(f"{partition}: cannot run: {reason}")
