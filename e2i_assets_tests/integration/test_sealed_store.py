"""What would put test and holdout together again is stored encrypted, under the same version with any key."""

from __future__ import annotations

import secrets
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from pydantic import SecretStr

from e2i_assets.cohorts import CohortConstructor
from e2i_assets.cohorts.cohort import Cohort
from e2i_assets.features import Feature, FeatureSet
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.resources.sealing import VaultKey
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets.resources.version_files import content_hash, list_files
from e2i_assets.settings import Settings
from e2i_assets_tests.unit.cohort_frames import RULES, journeys

WHO = "patient-who-is-in-test"
FRAME = pd.DataFrame({"patient_journey_id": [WHO] * 3, "patient_id": [WHO] * 3, "age": [1.0, 2.0, 3.0]})


def artifacts() -> dict[str, Any]:
    members, result = CohortConstructor(RULES).construct_cohort(journeys())
    known = FRAME.assign(patient_id="known", patient_journey_id="known")
    return {
        "raw/patient_journeys": RawTable(pl.from_pandas(FRAME)),
        "cohort": Cohort(members.with_columns(patient_id=pl.lit(WHO)), result, {}),
        "features": FeatureSet(
            FRAME, (Feature(name="age", kind="numeric", description="Age", source="t.age"),), FRAME, {}
        ),
        "splits": Splits(known, known, FRAME[["patient_id"]].assign(split="test"), (), (), {}, {}),
    }


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(home=folder, **changes)


def new_key() -> SecretStr:
    return SecretStr(b64encode(secrets.token_bytes(32)).decode())


@pytest.fixture(params=["local", "memory"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    remote = {} if request.param == "local" else {"artifacts": f"memory://{secrets.token_hex(4)}"}
    here = settings(tmp_path, **remote)
    if remote:  # what machines share has no key of one machine's making
        VaultKey(here.vault_key_file).create_if_absent()
    return here


@pytest.mark.parametrize("asset", artifacts())
def test_nobody_of_a_sealed_split_is_stored_in_the_clear(asset: str, here: Settings, tmp_path: Path) -> None:
    artifact, store = artifacts()[asset], open_store(here)
    version = store.write(asset, "p", artifact)
    (tmp_path / "plain").mkdir()
    artifact.save(tmp_path / "plain")
    assert version == content_hash(tmp_path / "plain")
    files = store._fs.find(f"{store._root}/{asset}")
    assert files
    assert not [file for file in files if WHO.encode() in store._fs.cat_file(file)]
    clear = [Path(file).name for file in files if store._fs.cat_file(file).startswith(b"PAR1")]
    assert sorted(clear) == (["train.parquet", "validation.parquet"] if asset == "splits" else [])
    store.read(asset, "p", version, type(artifact)).save(tmp_path / "plain")
    assert content_hash(tmp_path / "plain") == version


def test_the_version_is_the_same_under_another_key_and_only_its_own_opens_it(tmp_path: Path) -> None:
    table = artifacts()["raw/patient_journeys"]
    one, other = (open_store(settings(tmp_path / n, vault_key=new_key())) for n in ("a", "b"))
    version = one.write("raw/t", "p", table)
    assert other.write("raw/t", "p", table) == version
    thief = open_store(settings(tmp_path / "a", vault_key=new_key()))
    with pytest.raises(ArtifactRefused, match="was sealed with key"):
        thief.read("raw/t", "p", version, RawTable)
    for folder in (tmp_path / "a" / "artifacts", tmp_path / "c"):
        with pytest.raises(ArtifactRefused, match="without the vault's key"):
            ArtifactStore(str(folder)).write("raw/t", "p", table)
    assert not (tmp_path / "c").exists()


def test_what_a_lost_key_sealed_is_sealed_anew_when_it_is_written_again(here: Settings) -> None:
    table = artifacts()["raw/patient_journeys"]
    version = open_store(here).write("raw/t", "p", table)
    here.vault_key_file.unlink()
    with pytest.raises(ArtifactRefused, match=r"(?s)cannot be read.*--force"):
        open_store(here).read("raw/t", "p", version, RawTable)
    if here.shares_artifacts:
        VaultKey(here.vault_key_file).create_if_absent()
    assert open_store(here).write("raw/t", "p", table) == version
    assert open_store(here).read("raw/t", "p", version, RawTable).frame.equals(table.frame)


def test_a_version_from_before_is_read_and_sealed_when_it_is_written_again(tmp_path: Path) -> None:
    here, table = settings(tmp_path), artifacts()["raw/patient_journeys"]
    store = open_store(here)
    version = content_hash(_saved(table, tmp_path / "scratch"))
    before = _saved(table, tmp_path / "artifacts" / "raw" / "t" / "p" / version)
    assert store.read("raw/t", "p", version, RawTable).frame.equals(table.frame)
    assert store.write("raw/t", "p", table) == version
    assert not (before / "table.parquet").read_bytes().startswith(b"PAR1")
    assert store.read("raw/t", "p", version, RawTable).frame.equals(table.frame)


def test_a_sealed_file_of_another_place_is_no_substitute(tmp_path: Path) -> None:
    store, table = open_store(settings(tmp_path)), artifacts()["raw/patient_journeys"]
    one, other = (store.write("raw/t", p, table) for p in ("p", "q"))
    target = tmp_path / "artifacts" / "raw" / "t" / "p" / one
    for file in (tmp_path / "artifacts" / "raw" / "t" / "q" / other).iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ArtifactRefused, match="altered"):
        store.read("raw/t", "p", one, RawTable)


@pytest.mark.parametrize("asset", artifacts())
def test_a_file_in_the_clear_is_no_substitute_whatever_the_list_says(asset: str, tmp_path: Path) -> None:
    artifact, store = artifacts()[asset], open_store(settings(tmp_path))
    version = store.write(asset, "p", artifact)
    target = tmp_path / "artifacts" / asset / "p" / version
    artifact.save(target)
    forged = pl.read_parquet(target / artifact.SEALED[0]).head(1)
    forged.write_parquet(target / artifact.SEALED[0])
    list_files(target, version)
    with pytest.raises(ArtifactRefused, match=r"(?s)not that of this version.*Remove this folder and"):
        store.read(asset, "p", version, type(artifact))
    shutil.rmtree(target)
    assert store.write(asset, "p", artifact) == version
    store.read(asset, "p", version, type(artifact))


def _saved(artifact: Any, folder: Path) -> Path:
    folder.mkdir(parents=True)
    artifact.save(folder)
    return folder
