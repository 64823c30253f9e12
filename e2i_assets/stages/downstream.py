"""What the gates downstream of a refused stage say: that they did not run, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from e2i_assets.partitions import serves
from e2i_assets.resources.io_manager import SCOPE
from e2i_assets.stages.context import StageContext


def tell_downstream(context: StageContext, refused: dg.AssetKey, about: str) -> None:
    """Leave a result at each gate that this run will not come to.

    Dagit would go on showing the last one, of another day and maybe of another partition. A warning rather
    than a failure: nothing was judged. The records of gates have none, and nothing rests on it.
    """
    name = refused.to_user_string()
    for key in _gates_below(context, refused):
        evaluation = dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{about}: did not run, because {name} was refused. Read the checks of {name}.",
            metadata={"reason": "upstream_refused", "upstream": dg.MetadataValue.asset(refused)},
            partition=context.partition,
        )
        # Of this run: without one, Dagster keeps one result of a check and partition and raises at a second.
        context.dagster.instance.report_dagster_event(
            dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
                job_name=context.dagster.job_name,
                event_specific_data=evaluation,
            ),
            run_id=context.dagster.run_id,
        )


def _gates_below(context: StageContext, refused: dg.AssetKey) -> Iterator[dg.AssetCheckKey]:
    layer = context.dagster.job_def.asset_layer
    below = layer.asset_graph.executable_asset_keys & set(_below(layer.asset_graph, refused))
    for check in sorted(layer.asset_graph.asset_check_keys):
        scope = layer.asset_graph.get(check.asset_key).metadata.get(SCOPE)
        served = scope is None or serves(context.settings.config_dir, scope, context.partition)
        if check.asset_key in below and served:
            yield check


def _below(graph: Any, key: dg.AssetKey) -> Iterator[dg.AssetKey]:  # Dagster does not export the type
    for child in graph.get(key).child_keys:
        yield child
        yield from _below(graph, child)
