"""Sensor: Dagit shows what is stale and why, where Dagster alone cannot know of it.

Dagster compares versions of code and inputs; a configuration that was changed, a load that came, a file that
was lost is what our own decision knows. It is shown as an observation of the asset, when it changes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from time import monotonic

import dagster as dg

from e2i_assets.automation.jobs import served_assets
from e2i_assets.automation.loaded import loaded_cohort_configs
from e2i_assets.automation.unreadable import alerting
from e2i_assets.json_files import json_hash, to_json
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.stages.explain import Outlook, explain

DOORS = {"settings", "warehouse", "store", "vault", "tracking"}
STALE = {"reused": "no", "runs": "yes", "open": "perhaps", "cannot run": "yes", "not served": "no"}
SECONDS = 20.0
"""After which a tick leaves the other partitions to the next one: Dagster ends a tick after 60."""


def build_staleness_sensor() -> dg.SensorDefinition:
    """The sensor over all that stages depend on."""

    @dg.sensor(
        name="staleness_sensor",
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys=DOORS,
        description="Shows at each asset what a run would do now, and why; requests no run.",
    )
    @alerting
    def staleness_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.SensorResult]:
        began = monotonic()
        shown: dict[str, str] = json.loads(context.cursor or "{}")
        config = context.resources.settings.config_dir
        known = loaded_cohort_configs(context, config)
        # Those that were looked at longest ago first: the cursor is in the order of the last looks.
        order = sorted(known, key=lambda key: list(shown).index(key) if key in shown else -1)
        events: list[dg.AssetObservation] = []
        for partition in order:
            if monotonic() - began > SECONDS:
                break
            outlooks = _outlooks(context, partition, known[partition].scopes)
            now = json_hash([to_json(one) for one in outlooks])
            if shown.pop(partition, None) != now:
                events += [_observation(partition, one) for one in outlooks]
            shown[partition] = now
        cursor = json.dumps({key: value for key, value in shown.items() if key in known})
        yield dg.SensorResult(
            asset_events=events,
            cursor=cursor,
            skip_reason=f"said anew of {len(events)} assets",
        )

    return staleness_sensor


def _outlooks(context: dg.SensorEvaluationContext, partition: str, scopes: Collection[str]) -> list[Outlook]:
    repository = context.repository_def
    assert repository is not None
    all_scopes = load_scopes(context.resources.settings.config_dir / "scopes")
    keys = served_assets(repository.asset_graph.toposorted_asset_keys, scopes, all_scopes)
    assets = list(dict.fromkeys(repository.assets_defs_by_key[key] for key in keys))
    doors = {name: getattr(context.resources, name) for name in DOORS}
    return explain(assets, doors, partition, keys)


def _observation(partition: str, outlook: Outlook) -> dg.AssetObservation:
    return dg.AssetObservation(
        asset_key=outlook.asset.split("/"),
        partition=partition,
        metadata={
            "stale": STALE[outlook.verdict],
            "because": "; ".join(reason.text for reason in outlook.reasons) or "nothing has changed",
        },
    )
