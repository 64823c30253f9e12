"""From a load, or an approved retraining, to one run, although the daemon is killed anywhere between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

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
    cut_short, again, status, limit = found.pop("backfill")
    assert cut_short == [-signal.SIGKILL, 0, 0], done.stderr
    assert status == "REQUESTED"  # until its runs have ended
    assert again == [[partition, "QUEUED"] for partition in sorted(cohort_configs(CONFIG))]
    assert limit == 3
    assert len(found) == 4
    for number, (point, (ends, runs)) in enumerate(found.items(), start=1):
        assert (point, ends) == (point, [-signal.SIGKILL, -signal.SIGKILL, 0, 0]), done.stderr
        (loaded, queued), (retrained, also_queued) = runs
        assert (queued, also_queued) == ("QUEUED", "QUEUED")
        assert loaded.endswith(f"-load-{number}-attempt-1")
        assert retrained == f"retraining-{number}-attempt-1"
