"""Killed, damaged, lost, made again: a partition ends as an uninterrupted run does, and test is opened once."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from e2i_assets.build import build_resources
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.registry.registered import RegisteredModel
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published
from e2i_assets.resources.vault import SplitVault
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.integration.gates.partition import PARTITION, run

MADE_ANEW = (
    "gate_results", "data_quality_reports", "cohort_executions", "cohort_eligibility_log",
    "split_assignments", "split_access", "split_attempts", "hpo_studies", "hpo_patterns", "training_runs",
    "bento_bundles",
)  # fmt: skip

REGISTERED = "conversion/registered_model"
OF_A_REGISTRATION = {REGISTERED, "conversion/reference_profile"}


def versions(here: Settings) -> dict[str, str]:
    """Every published version of the partition."""
    store = build_resources(here)["store"]
    root = Path(here.artifacts_url)
    assets = [path.parent.parent.relative_to(root).as_posix() for path in root.rglob("current.json")]
    return {asset: current.version for asset in assets if (current := store.current(asset, PARTITION))}


def unregistered(here: Settings) -> dict[str, str]:
    """Without the registered version and its profile: of a bundle that is built again there is another one."""
    return {name: version for name, version in versions(here).items() if name not in OF_A_REGISTRATION}


def registered(here: Settings) -> int:
    """Number of the published version in the registry."""
    store = build_resources(here)["store"]
    return store.read(REGISTERED, PARTITION, versions(here)[REGISTERED], RegisteredModel).version


def openings(here: Settings) -> tuple[int, int]:
    """How many openings of test and how many attempts are on record."""
    count = "SELECT (SELECT count(*) FROM e2i.ml_split_access), (SELECT count(*) FROM e2i.ml_split_attempts)"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        one, other = connection.execute(sa.text(count)).one()
    return one, other


def folder_of(here: Settings, asset: str) -> Path:
    return Path(here.artifacts_url) / asset / PARTITION / versions(here)[asset]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def bento(here: Settings) -> Path:
    (folder,) = [
        path.parent for path in (here.bento_home / "bentos").rglob("bento.yaml") if PARTITION in str(path)
    ]
    return folder


def test_killed_at_any_stage_and_resumed_ends_as_an_uninterrupted_run(
    server: str, base: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time the process dies between the records of a stage and its publication; in another folder."""
    victims = ["splits"] + [
        f"conversion/{name}"
        for name in ("preprocessor", "trained_model", "evaluation", "bento_bundle", "registered_model")
    ]
    publish = ArtifactStore.publish
    with installation(server, tmp_path, template=base) as here:
        for folder in (here.artifacts_url, here.vault_url, here.bento_home):
            shutil.rmtree(folder)
        with build_resources(here)["warehouse"].engine.begin() as connection:
            connection.execute(sa.text(f"TRUNCATE {', '.join(f'e2i.ml_{name}' for name in MADE_ANEW)}"))
        with monkeypatch.context() as patch:  # between the assignments of patients and their seals
            patch.setattr(SplitVault, "seal", interrupted)
            assert not run(here, "*").success
            assert not list(Path(here.vault_url).rglob("*.sealed"))
        for victim in victims:

            def killed(store: ArtifactStore, published: Published, victim: str = victim) -> None:
                if published.asset == victim:
                    raise KeyboardInterrupt
                publish(store, published)

            monkeypatch.setattr(ArtifactStore, "publish", killed)
            assert not run(here, "*").success
            assert victim not in versions(here)
        monkeypatch.setattr(ArtifactStore, "publish", publish)
        assert run(here, "*").success
        assert unregistered(here) == unregistered(base)
        assert registered(here) == 2  # the ledger keeps the first, whose files are gone
        assert bento(here).name == bento(base).name
        assert openings(here) == (1, 1)


def test_a_model_that_is_trained_again_is_the_same_and_test_stays_closed(here: Settings) -> None:
    before, store = versions(here), build_resources(here)["store"]
    result = run(here, 'key:"conversion/trained_model"+', force=True)
    assert result.success
    assert len(result.get_asset_materialization_events()) == 6
    assert versions(here) == before
    assert store.current("conversion/trained_model", PARTITION).run_id == result.run_id
    assert openings(here) == (1, 1)


def test_an_opened_test_whose_plots_fail_is_taken_from_its_record(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = versions(here)
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE e2i.ml_split_access, e2i.ml_split_attempts"))

    def broken(*_: object) -> None:
        raise ValueError("no room for the plot")

    select = 'key:"conversion/evaluation"'
    with monkeypatch.context() as patch:
        patch.setattr(Binary, "plots", broken)
        assert "Unforeseen: ValueError at " in failure(run(here, select, force=True))
    assert openings(here) == (1, 1)
    monkeypatch.setattr("e2i_assets.assets.evaluation.evaluate", broken)
    assert run(here, select, force=True).success
    assert openings(here) == (1, 1)
    assert versions(here) == before


def test_what_is_lost_or_damaged_is_noticed_and_made_anew(here: Settings) -> None:
    """Without reading test, and each as it was."""
    before, tag = versions(here), bento(here)
    events = folder_of(here, "raw/treatment_events") / "table.parquet"
    events.write_bytes(events.read_bytes()[:-100])
    shutil.rmtree(folder_of(here, "features"))
    sealed = next((Path(here.vault_url) / PARTITION).glob("holdout-*.sealed"))
    sealed.unlink()
    assigned = folder_of(here, "splits") / "assigned.parquet"
    assigned.write_bytes(assigned.read_bytes() + b"x")
    evaluation = folder_of(here, "conversion/evaluation")
    (evaluation / "record.json").write_text("{}")
    pipeline = next(tag.rglob("pipeline.joblib"))
    pipeline.write_bytes(pipeline.read_bytes()[:-10])
    result = run(here, "*")
    assert result.success
    made = {
        "/".join(event.asset_key.path)
        for event in result.get_asset_materialization_events()
        if not event.materialization.metadata["reused"].value
    }
    assert made == {
        "raw/treatment_events", "features", "splits", "conversion/evaluation", "conversion/bento_bundle",
        *OF_A_REGISTRATION,
    }  # fmt: skip
    assert unregistered(here) == {n: version for n, version in before.items() if n not in OF_A_REGISTRATION}
    assert registered(here) == 2
    assert bento(here) == tag
    assert sealed.exists()
    assert openings(here) == (1, 1)
    again = run(here, "*")
    assert all(e.materialization.metadata["reused"].value for e in again.get_asset_materialization_events())


def test_a_damaged_input_is_named_and_a_damaged_pointer_is_replaced_by_force(here: Settings) -> None:
    before = versions(here)
    members = folder_of(here, "cohort") / "members.parquet"
    members.unlink()
    assert f"{members.parent}: members.parquet is missing" in failure(run(here, "key:features", force=True))
    pointer = members.parents[1] / "current.json"
    pointer.write_text(pointer.read_text()[:50])
    for select in ("key:cohort", "key:features"):
        text = failure(run(here, select))
        assert str(pointer) in text
        assert "--force" in text
    assert run(here, "key:cohort", force=True).success
    assert run(here, "*").success
    assert versions(here) == before


def failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    return str([e.step_failure_data for e in result.all_events if e.is_step_failure])


def test_the_damage_of_one_partition_does_not_hide_the_others(here: Settings) -> None:
    from e2i_assets.automation.sensors import NEWEST_RAW, published

    store = build_resources(here)["store"]
    pointer = Path(here.artifacts_url) / "raw/patient_journeys" / PARTITION / "current.json"
    pointer.write_text("{")
    with pytest.raises(ArtifactRefused, match="is damaged"):
        store.current("raw/patient_journeys", PARTITION)
    raw = dict(published(store, NEWEST_RAW, [PARTITION, "fabhalta_pnh"]))
    assert raw["fabhalta_pnh"] is None
    assert isinstance(raw[PARTITION], ArtifactRefused)
