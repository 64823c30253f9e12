"""24 days of an installation: what arrives, dies, drifts and is asked for ends as `docs/twenty-four-days.md` says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from e2i_assets_tests.conftest import installation, postgres_home
from e2i_assets_tests.simulation.page import PAGE, comparable, page
from e2i_assets_tests.simulation.record import Event


@pytest.fixture(scope="module")
def story(server: str) -> list[tuple[int, list[Event]]]:
    """The days, lived through by a process of its own: its clock is no other test's."""
    with postgres_home() as folder, installation(server, folder) as here:
        assert here.database_url is not None
        environment = os.environ | {
            "E2I_DATABASE_URL": here.database_url.get_secret_value(),
            "OMP_NUM_THREADS": "1",
        }
        days = folder / "days"
        command = [sys.executable, "-W", "ignore", "-m", "e2i_assets_tests.simulation", "--folder", str(days)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-5000:]
        told = json.loads((days / "days.json").read_text())
    return [(day, [Event(**one) for one in events]) for day, events in told]


def test_every_day_is_as_the_page_tells_it(story: list[tuple[int, list[Event]]]) -> None:
    assert comparable(page(story)) == comparable(PAGE.read_text())


def test_every_load_is_answered_by_one_run_and_the_killed_one_has_one_successor(
    story: list[tuple[int, list[Event]]],
) -> None:
    texts = [one.text for _, events in story for one in events]
    loads = {found[1] for text in texts if (found := re.match(r"load (\d+) of .* is committed", text))}
    runs = [re.match(r"run \w+-load-(\d+)-attempt-1(.*): (.+)", text) for text in texts]
    answers = Counter(run[1] for run in runs if run and run[3] != "failure")
    assert answers == Counter(loads)
    ((killed, again),) = [
        (run[1], [other[2] for other in runs if other and other[1] == run[1]])
        for run in runs
        if run and run[3] == "failure"
    ]
    assert again == ["", ", launched again"], killed
