"""What may go is decided from records alone: never what something stands on, never what nobody knows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2i_assets.lineage.retention import (
    Keep,
    Records,
    bundles_to_go,
    needed,
    runs_to_go,
    seals_to_go,
    versions_to_go,
)
from e2i_assets.registry.ledger import Version
from e2i_assets.resources.kept_files import Kept, KeptFiles
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.publications import Made, Making

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
STAGES = (
    "raw/t",
    "cohort",
    "splits",
    "s/trained_model",
    "s/evaluation",
    "s/bento_bundle",
    "s/registered_model",
)
READS = {
    "cohort": ["raw/t"], "splits": ["cohort"], "s/trained_model": ["splits"], "s/evaluation": ["s/trained_model"],
    "s/bento_bundle": ["s/trained_model", "s/evaluation"], "s/registered_model": ["s/bento_bundle"],
}  # fmt: skip


def makings(generations: int) -> list[Making]:
    """A whole chain a day, each made of the one of its day."""
    return [
        Making(
            asset, str(day), f"f{day}", {name: Made(name, str(day), "r") for name in READS.get(asset, ())},
            DAY + dt.timedelta(days=day), {"test": str(day)} if asset == "splits" else None,
            f"h{day}" if asset == "s/bento_bundle" else None, f"run{day}" if asset == "s/trained_model" else None,
        )
        for day in range(generations)
        for asset in STAGES
    ]  # fmt: skip


def registered(day: int, **of: Any) -> Version:
    known = {
        "model_name": "m", "scope": "s", "partition": "p", "problem_type": "binary_classification", "algorithm": "a",
        "model_fingerprint": "f", "service": "c", "bento_tag": f"m:f{day}", "files_hash": f"h{day}",
        "data_version": str(day), "trained_on": {"splits": str(day)}, "metrics": {}, "samples": {},
        "mlflow_run_id": f"run{day}", "run_id": "r", "version": 1, "mlflow_version": 1, "created_at": DAY,
    }  # fmt: skip
    return Version(**known | of)


def stored(*keys: tuple[str, str]) -> list[Kept]:
    return [
        Kept("version", "p", f"{asset}/{version}", f"/{asset}/{version}", 1, DAY) for asset, version in keys
    ]


def whole(day: int) -> set[tuple[str, str]]:
    return {(asset, str(day)) for asset in STAGES}


def test_a_registered_version_needs_all_that_it_was_made_of_and_what_came_of_it() -> None:
    assert needed(Records(makings(3), (), (), [registered(1)])) == whole(1)
    # Registered before there was a record of it: what the registry says is all there is, and what that was made of.
    older = registered(1, files_hash="?", mlflow_run_id="?", trained_on={"splits": "1", "tuned": "9"})
    assert needed(Records(makings(3), (), (), [older])) == {
        ("raw/t", "1"), ("cohort", "1"), ("splits", "1"), ("s/tuned_params", "9")
    }  # fmt: skip


def test_what_is_published_needs_the_raw_tables_of_its_own_certificate() -> None:
    """Newer raw tables may be published that quality control refused; the cohort reads those of its certificate."""
    records = Records(makings(3), (), [("raw/t", "2"), ("cohort", "0")], [])
    assert needed(records) == {("raw/t", "2"), ("cohort", "0"), ("raw/t", "0")}


@given(
    generations=st.integers(1, 6),
    newest=st.integers(1, 4),
    days=st.none() | st.integers(0, 6),
    registered_days=st.sets(st.integers(0, 5)),
    published=st.integers(0, 5),
)
def test_what_goes_is_what_nothing_needs(
    generations: int, newest: int, days: int | None, registered_days: set[int], published: int
) -> None:
    since = None if days is None else DAY + dt.timedelta(days=days)
    versions = [registered(day) for day in registered_days if day < generations]
    records = Records(makings(generations), (), whole(min(published, generations - 1)), versions)
    every = [key for day in range(generations) for key in sorted(whole(day))]
    going = {
        kept.version
        for kept in versions_to_go(stored(*every, ("cohort", "unheard of")), records, Keep(newest, since))
    }
    safe = {min(published, generations - 1), *registered_days, *range(generations - newest, generations)}
    safe |= {day for day in range(generations) if days is not None and day >= days}
    assert going == {key for day in range(generations) if day not in safe for key in whole(day)}


def test_refused_versions_go_and_unheard_of_ones_stay() -> None:
    refused = {("cohort", "refused a"), ("cohort", "refused b")}
    records = Records(makings(2), refused, whole(0), [])
    kept = stored(("cohort", "0"), ("cohort", "1"), *sorted(refused), ("cohort", "older release"))
    assert [one.version for one in versions_to_go(kept, records, Keep(1))] == [("cohort", "refused a")]


@pytest.mark.parametrize(
    ("staying", "gone"),
    [
        ({("splits", "1")}, {"test-0"}),
        ({("splits", "1"), ("splits", "refused")}, {"test-0"}),
        ({("splits", "0"), ("splits", "1")}, set()),
        ({("splits", "1"), ("splits", "of an older release")}, set()),
    ],
)
def test_a_sealed_split_goes_with_the_last_version_that_has_it(
    staying: set[tuple[str, str]], gone: set[str]
) -> None:
    sealed = [
        Kept("sealed split", "p", name, name, 1) for name in ("test-0", "test-1", "test-2", "test-unheard")
    ]
    records = Records(makings(3), {("splits", "refused")}, (), [registered(2)])
    assert {one.name for one in seals_to_go(sealed, staying, records)} == gone


def test_bundles_and_runs_go_with_their_versions() -> None:
    refused = {("s/bento_bundle", "refused")}
    bundles = [Kept("bundle", "p", f"m:f{day}", "", 1) for day in range(4)]
    records = Records(
        makings(3),
        refused,
        (),
        [registered(0)],
        built=["m:f0", "m:f1", "m:f2"],
        runs=["run0", "run1", "run2"],
    )
    staying = {("s/bento_bundle", "2"), ("s/trained_model", "2"), *refused}
    gone = bundles_to_go(bundles, "m", "s/bento_bundle", staying, records)
    assert [one.name for one in gone] == ["m:f1"]
    assert bundles_to_go(bundles, "m", "s/bento_bundle", {("s/bento_bundle", "older")}, records) == []
    assert list(runs_to_go(staying, records)) == ["run1"]


def test_on_object_storage_what_is_half_removed_is_no_version_and_goes_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = "memory://pruned"
    store, files = ArtifactStore(root), KeptFiles(Settings(artifacts=root))
    version = store.write("splits", "p", DAY_RECORD)
    (kept,) = files.versions("p")
    assert (kept.version, files.sized(kept).size > 0) == (("splits", version), True)
    with monkeypatch.context() as patch:
        patch.setattr(fsspec.implementations.memory.MemoryFileSystem, "rm", _killed)
        with pytest.raises(KeyboardInterrupt):
            files.remove(kept)
    assert "missing" in str(store.damage("splits", "p", version))
    assert list(files.versions("p")) == []
    (half,) = files.left_over("p")
    files.remove(half)
    assert list(files.left_over("p")) == []
    assert store.write("splits", "p", DAY_RECORD) == version
    assert store.damage("splits", "p", version) is None


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


DAY_RECORD = Keep(1, DAY)
"""Any record."""
