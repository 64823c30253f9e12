"""Which partitions a sensor or a schedule may ask for: those that Dagster has loaded."""

from pathlib import Path

import dagster as dg

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.partitions import cohort_configs


def loaded_cohort_configs(
    context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext, config: Path
) -> dict[str, CohortConfig]:
    """Partition key to its cohort configuration, of those with which the code location was loaded.

    A cohort file that is newer is a partition that Dagster does not know: a request for it would fail the
    tick for all others. It is logged, with what to do.
    """
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    loaded = {
        key
        for asset in graph.executable_asset_keys
        if (definition := graph.get(asset).partitions_def) is not None
        for key in definition.get_partition_keys()
    }
    known = cohort_configs(config)
    for partition in sorted(set(known) - loaded):
        context.log.error(
            f"{partition}: its cohort file is newer than what Dagster has loaded; no run is requested before "
            "Reload definitions (Deployment, Code locations)"
        )
    return {key: cohort for key, cohort in known.items() if key in loaded}
