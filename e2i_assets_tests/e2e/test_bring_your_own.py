"""The German Breast Cancer Study Group trial from CSV to a bundle, by configuration alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.serving.bundle_ref import BundleRef
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import config_with_examples, postgres_home
from e2i_assets_tests.e2e.bring_your_own import EXAMPLE, PARTITION, SOURCE, e2i, environment


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    with postgres_home() as folder:
        yield environment(folder / "home", config_with_examples(folder))


def test_the_trial_goes_the_whole_way(env: dict[str, str]) -> None:
    mapping = str(EXAMPLE / "mapping.yaml")
    loaded = json.loads(e2i("data", "import", str(SOURCE), "--mapping", mapping, "--json", env=env))
    assert loaded["load"]["rows"] == {"patient_journeys": 686}
    done = json.loads(e2i("materialize", "--partition", PARTITION, "--json", env=env))
    (run,), (row,) = done["runs"], done["partitions"]
    assert run["success"], run
    assert (row["cohort"], row["scope"]) == (623, "recurrence")
    assert all(row[name] for name in ("bundle", "algorithm", "test_95"))
    assert "conversion/trained_model" not in run["computed"]
    store = open_store(Settings(home=Path(env["E2I_HOME"])))

    def published(asset: str, kind: type) -> object:
        current = store.current(asset, PARTITION)
        assert current is not None
        return store.read(asset, PARTITION, current.version, kind)

    cohort = published("cohort", Cohort)
    assert (cohort.result.total_count, cohort.result.eligible_count) == (686, 623)
    splits = published("splits", Splits)
    assert {"tsize", "tgrade", "pnodes", "progrec", "estrec", "menostat", "horTh"} <= {
        f.name for f in splits.features
    }
    assert not {"time", "cens", "recurrence_2y"} & {f.name for f in splits.features}
    assert published("recurrence/bento_bundle", BundleRef).tag.startswith(f"e2i-recurrence-{PARTITION}:")


def test_a_scope_that_does_not_serve_the_partition_says_so(env: dict[str, str]) -> None:
    """Nothing is selected for it, so nothing runs and nothing is claimed."""
    said = e2i("materialize", "-p", PARTITION, "-s", 'key:"conversion/evaluation"', env=env)
    assert "nothing of 'key:\"conversion/evaluation\"' applies to it; its scopes are recurrence" in said


def test_a_draft_of_a_mapping_is_printed(env: dict[str, str], tmp_path: Path) -> None:
    said = json.loads(e2i("data", "import", str(SOURCE), "--suggest", "--json", env=env))
    assert "age_at_diagnosis: age" in said["mapping"]
    e2i("data", "import", str(SOURCE), "--suggest", "--output", str(tmp_path / "m.yaml"), env=env)
    assert (tmp_path / "m.yaml").read_text() == said["mapping"]


def test_a_missing_source_is_named(env: dict[str, str], tmp_path: Path) -> None:
    said = e2i("data", "import", str(tmp_path / "nowhere.csv"), env=env, expect=2)
    assert "nowhere.csv: no such file" in said
    assert "Traceback" not in said
