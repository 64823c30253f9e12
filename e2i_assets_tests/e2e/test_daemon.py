"""Dagit's own ways to run: the sensor after a load, and a backfill, through the real daemon."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from e2i_assets.automation.jobs import REFRESH, job_of
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import config_with_examples, postgres_home
from e2i_assets_tests.e2e.bring_your_own import (
    E2I,
    EXAMPLE,
    PARTITION,
    SOURCE,
    e2i,
    environment,
)

RUNS = "query { runsOrError(limit: 20) { ... on Runs { results { runId status tags { key value } } } } }"
ASSETS = "query { assetNodes { assetKey { path } } }"
BACKFILL = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
STATUS = """query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}"""


class Dagit:
    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        response = httpx.post(
            f"{self.root}/graphql", json={"query": query, "variables": variables}, timeout=60
        )
        answer = response.raise_for_status().json()
        assert "errors" not in answer, answer
        return answer["data"]

    def runs(self, tag: str) -> list[dict[str, Any]]:
        results = self.ask(RUNS)["runsOrError"]["results"]
        return [run for run in results if tag in {t["key"] for t in run["tags"]}]


def wait(what: str, condition: Any, seconds: float = 400) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(2)
    pytest.fail(f"waited {seconds} s for {what}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    with postgres_home() as folder:
        yield environment(folder / "home", config_with_examples(folder))


@pytest.fixture
def dagit(env: dict[str, str], tmp_path: Path) -> Iterator[Dagit]:
    port = free_port()
    with (tmp_path / "up.log").open("w") as log:
        process = subprocess.Popen(
            [E2I, "up", "--only", "dagit", "--port", str(port)], env=env, stdout=log, stderr=log
        )
    try:
        here = Dagit(port)
        wait("Dagit", lambda: _answers(here, process, tmp_path / "up.log"), 180)
        yield here
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _answers(dagit: Dagit, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return bool(dagit.ask(ASSETS)["assetNodes"])
    except httpx.HTTPError:  # not there yet, or not yet behind the address that pages have with it
        return False


def _finished(runs: list[dict[str, Any]], count: int) -> list[str] | None:
    statuses = [run["status"] for run in runs]
    return (
        statuses if len(statuses) >= count and set(statuses) <= {"SUCCESS", "FAILURE", "CANCELED"} else None
    )


def _backfill_of_everything(dagit: Dagit) -> str:
    """Of the partition, as Dagit's own button asks for it: the stages of scopes that do not serve it, too.

    Without those that deploy: no service runs here.
    """
    keys = [
        key
        for node in dagit.ask(ASSETS)["assetNodes"]
        if job_of(dg.AssetKey((key := node["assetKey"])["path"])) == REFRESH
    ]
    launched = dagit.ask(BACKFILL, params={"assetSelection": keys, "partitionNames": [PARTITION]})
    backfill = launched["launchPartitionBackfill"]["backfillId"]

    def ended() -> str | None:
        status = dagit.ask(STATUS, id=backfill)["partitionBackfillOrError"]["status"]
        return None if status in {"REQUESTED", "CANCELING", "FAILING"} else str(status)

    return str(wait("the backfill", ended))


def test_sensor_and_backfill_publish_good_data_and_hold_bad_data(
    dagit: Dagit, env: dict[str, str], tmp_path: Path
) -> None:
    store = open_store(Settings(home=Path(env["E2I_HOME"])))

    def load(file: Path) -> dict[str, Any]:
        return json.loads(
            e2i("data", "import", str(file), "--mapping", str(EXAMPLE / "mapping.yaml"), "--json", env=env)
        )

    assert load(SOURCE)["load"]["partitions"] == ["Tamoxifen/breast_cancer"]
    runs = wait("the sensor's run", lambda: _finished(dagit.runs("e2i/load"), 1))
    assert runs == ["SUCCESS"]
    good = {asset: store.current(asset, PARTITION) for asset in ("cohort", "recurrence/bento_bundle")}
    assert all(good.values())
    report = store.current("qc_report", PARTITION)
    shown = dg.deserialize_value(report.display, dict)["metadata"]
    link = f"{dagit.root}{shown['data_docs'].value}"
    docs = httpx.get(link)
    assert docs.status_code == 200
    assert "patient_journeys.html" in docs.text
    assert httpx.get(link.replace("data_docs/index.html", "record.json")).status_code == 404

    assert _backfill_of_everything(dagit) == "COMPLETED_SUCCESS"
    assert _finished(dagit.runs("dagster/backfill"), 1) == ["SUCCESS"]
    assert store.current("recurrence/bento_bundle", PARTITION) == good["recurrence/bento_bundle"]
    assert store.current("conversion/bento_bundle", PARTITION) is None

    nobody = tmp_path / "gbsg2.csv"
    header, *lines = SOURCE.read_text().splitlines()
    age = header.split(",").index("age")
    children = [
        ",".join("7" if i == age else cell for i, cell in enumerate(line.split(","))) for line in lines
    ]
    nobody.write_text("\n".join([header, *children]) + "\n")
    load(nobody)
    runs = wait("the sensor's second run", lambda: _finished(dagit.runs("e2i/load"), 2))
    assert sorted(runs) == ["FAILURE", "SUCCESS"]
    assert store.current("cohort", PARTITION) == good["cohort"]

    assert _backfill_of_everything(dagit) == "COMPLETED_FAILED"
    assert sorted(_finished(dagit.runs("dagster/backfill"), 2) or []) == ["FAILURE", "SUCCESS"]
    for asset, before in good.items():
        assert store.current(asset, PARTITION) == before
    assert store.current("raw/patient_journeys", PARTITION).attributes["load"] == 2
