"""From a load, or an approved retraining, to one run, although the daemon is killed anywhere between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from e2i_assets.partitions import cohort_configs
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import CONFIG

PROGRAM = "from e2i_assets_tests.integration import killed_daemon; killed_daemon.main()"


def test_a_daemon_killed_between_tick_and_launch_leaves_exactly_one_run_of_each(here: Settings) -> None:
    assert here.database_url is not None
    environment = {
        **os.environ, "E2I_DATABASE_URL": here.database_url.get_secret_value(), "E2I_CONCURRENT_RUNS": "3"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    _was_carried_out(found.pop("backfill"), sorted(cohort_configs(CONFIG)))
    assert len(found) == 4
    for number, (point, (ends, runs)) in enumerate(found.items(), start=1):
        assert (point, ends) == (point, [-signal.SIGKILL, -signal.SIGKILL, 0, 0]), done.stderr
        (loaded, queued), (retrained, also_queued) = runs
        assert (queued, also_queued) == ("QUEUED", "QUEUED")
        assert loaded.endswith(f"-load-{number}-attempt-1")
        assert retrained == f"retraining-{number}-attempt-1"


def _was_carried_out(backfill: dict[str, Any], partitions: list[str]) -> None:
    """A backfill of a partition that a gate refuses, one that is broken, one whose run is killed, and one that is
    well, by a daemon that was killed after the second run.
    """
    refused, broken, dies, good = partitions
    assert backfill["ends"] == [-signal.SIGKILL, 0, 0]
    assert backfill["submitted"] == [[partition, "QUEUED"] for partition in partitions]
    # Three at a time, as the limit says, then the fourth with the one that is launched again; no other is.
    first = backfill["first"]
    assert first["batches"][:2] == [3, 2]
    assert not any(first["batches"][2:])
    assert first["status"] == "COMPLETED_FAILED"
    assert first["runs"] == [
        [refused, "FAILURE"], [broken, "FAILURE"], [dies, "FAILURE"], [dies, "SUCCESS"], [good, "SUCCESS"]
    ]  # fmt: skip
    assert backfill["made"] == [0, 0, 1, 1]
    # Asked for again it goes on with what is not there yet.
    assert backfill["second"] == {
        "status": "COMPLETED_SUCCESS", "runs": [[partition, "SUCCESS"] for partition in partitions]
    }  # fmt: skip
    assert backfill["made_then"] == [1, 1, 1, 1]
