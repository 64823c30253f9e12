"""What a user of their own data is told; that such data go the whole way is in test_demo.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2i_assets_tests.conftest import config_with_examples, postgres_home
from e2i_assets_tests.e2e.bring_your_own import PARTITION, SOURCE, e2i, environment


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    with postgres_home() as folder:
        yield environment(folder / "home", config_with_examples(folder))


def test_a_scope_that_does_not_serve_the_partition_says_so(env: dict[str, str]) -> None:
    """Nothing is selected for it, so nothing runs and nothing is claimed."""
    output = e2i("materialize", "-p", PARTITION, "-s", 'key:"conversion/evaluation"', env=env)
    assert "nothing of 'key:\"conversion/evaluation\"' applies to it; its scopes are recurrence" in output


def test_a_draft_of_a_mapping_is_printed(env: dict[str, str], tmp_path: Path) -> None:
    output = json.loads(e2i("data", "import", str(SOURCE), "--suggest", "--json", env=env))
    assert "age_at_diagnosis: age" in output["mapping"]
    e2i("data", "import", str(SOURCE), "--suggest", "--output", str(tmp_path / "m.yaml"), env=env)
    assert (tmp_path / "m.yaml").read_text() == output["mapping"]


def test_a_missing_source_is_named(env: dict[str, str], tmp_path: Path) -> None:
    output = e2i("data", "import", str(tmp_path / "nowhere.csv"), env=env, expect=2)
    assert "nowhere.csv: no such file" in output
    assert "Traceback" not in output
