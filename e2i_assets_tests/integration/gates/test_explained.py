"""What `e2i materialize --explain` says of the real stages."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.explain import run_explain
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import PARTITION, changed


def verdicts(here: Settings, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, list[str]]]:
    """Of each stage that would not be reused: verdict and reasons."""
    assert run_explain(build_defs(here), here, [PARTITION], "*", force=False, as_json=True) == 0
    (partition,) = json.loads(capsys.readouterr().out)["partitions"]
    return {
        stage["asset"]: (stage["verdict"], [reason["text"] for reason in stage["reasons"]])
        for stage in partition["stages"]
        if stage["verdict"] != "reused"
    }


def add_load(here: Settings) -> None:
    load = sa.text(
        "INSERT INTO e2i.ml_load_batches (source, partitions) VALUES ('feed', '[\"Fabhalta/c3g\"]')"
    )
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(load)


def test_each_stage_says_whether_it_would_run_and_why(
    here: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdicts(here, capsys) == {}

    searched = changed(
        here, tmp_path, "optuna_config.yaml", lambda content: content["optimization"].update(n_trials=13)
    )
    after = verdicts(searched, capsys)
    assert after["conversion/tuned_params"] == ("runs", ["configuration changed"])
    assert after["conversion/trained_model"][0] == "open"
    assert "splits" not in after
    assert "conversion/preprocessor" not in after

    add_load(here)
    after = verdicts(here, capsys)
    assert after["raw/triggers"] == ("runs", ["load 2 came after load 1"])
    assert after["qc_report"][0] == "open"
    assert {verdict for name, (verdict, _) in after.items() if not name.startswith("raw/")} == {"open"}


def test_dagit_is_told_what_is_stale_and_why_when_that_changes(here: Settings) -> None:
    defs = build_defs(here)
    sensor = defs.resolve_sensor_def("staleness_sensor")
    resources = {name: build_resources(here)[name] for name in sensor.required_resource_keys}
    cursor = None

    def tick() -> dict[str, tuple[object, object]]:
        nonlocal cursor
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(
                instance=instance, cursor=cursor, resources=resources, definitions=defs
            ) as context,
        ):
            data = sensor.evaluate_tick(context)
        cursor = data.cursor
        return {
            event.asset_key.to_user_string(): (event.metadata["stale"].value, event.metadata["because"].value)
            for event in data.asset_events
            if event.partition == PARTITION
        }

    assert set(tick().values()) == {("no", "nothing has changed")}
    assert tick() == {}
    add_load(here)
    after = tick()
    assert after["raw/triggers"] == ("yes", "load 2 came after load 1")
    assert after["qc_report"][0] == "perhaps"
