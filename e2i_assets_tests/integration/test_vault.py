"""The split vault: once for a model, holdout only when deployed, nothing readable without the key."""

from __future__ import annotations

import base64
import json
import multiprocessing
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from e2i_assets.resources.sealing import SealBroken, VaultError, VaultKey, VaultKeyError
from e2i_assets.resources.vault import SplitSealed, SplitVault
from e2i_assets.settings import Settings
from e2i_assets.warehouse.deployment_records import bentoml_services
from e2i_assets.warehouse.records import split_access, split_attempts, training_runs
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import ROOT

TEST = pd.DataFrame({"patient_id": ["patient-a", "patient-b"], "x": [1.0, 2.0]})
SPLITS = {"test": TEST, "holdout": TEST.head(1)}
LEARNT = {"auc": 0.71, "bins": [[10, -0.0]]}


@pytest.fixture
def seals(platform: SimpleNamespace) -> dict[str, str]:
    for model in ("m1", "m2"):
        train(platform, model)
    return platform.vault.seal("p", SPLITS)


def train(platform: SimpleNamespace, model: str, partition: str = "p") -> None:
    row = {
        "partition": partition, "scope": "conversion", "algorithm": "XGBoost", "model_fingerprint": model,
        "hyperparameters": {}, "training_samples": 1, "validation_samples": 1, "metrics": {},
        "data_versions": {}, "run_id": "r",
    }  # fmt: skip
    platform.warehouse.record(training_runs, [row])


def opening(
    vault: SplitVault,
    seals: dict[str, str],
    split: str = "test",
    model: str = "m1",
    purpose: str = "evaluation",
) -> Any:
    return vault.open("p", split, seals[split], model_fingerprint=model, purpose=purpose, run_id="r")


def rows(platform: SimpleNamespace, table: sa.Table) -> list[Any]:
    with platform.warehouse.engine.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)).mappings())


def deploy(platform: SimpleNamespace, status: str = "active", **changes: str) -> None:
    member = {"partition": "p", "model_fingerprint": "m1", "role": "active"}
    row = {
        "service_name": secrets.token_hex(4), "release": "r1", "members": [{}, member | changes],
        "status": status, "cause": "deploy", "asked_by": "u", "run_id": "r",
    }  # fmt: skip
    platform.warehouse.record(bentoml_services, [row])


def sealed_files(platform: SimpleNamespace) -> list[Path]:
    return sorted(Path(platform.settings.vault_url).rglob("*.sealed"))


def test_a_model_meets_test_once(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    assert platform.vault.result("p", "test", "m1") is None
    with opening(platform.vault, seals) as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST)
        opened.result = LEARNT
    assert platform.vault.result("p", "test", "m1") == LEARNT
    with pytest.raises(SplitSealed, match="already opened for model m1"), opening(platform.vault, seals):
        pass
    with opening(platform.vault, seals, model="m2") as opened:
        opened.result = LEARNT
    (first, second) = rows(platform, split_access)
    assert (first["model_fingerprint"], second["model_fingerprint"]) == ("m1", "m2")
    assert first["run_id"] == "r"
    assert first["opened_by"]


def test_what_one_partition_told_of_a_model_is_not_what_another_tells(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    """Two partitions may come to the same model: copies of a cohort file do."""
    with opening(platform.vault, seals) as opened:
        opened.result = LEARNT
    assert platform.vault.result("q", "test", "m1") is None
    train(platform, "m1", "q")
    others = platform.vault.seal("q", {"test": TEST.tail(1)})
    with platform.vault.open(
        "q", "test", others["test"], model_fingerprint="m1", purpose="evaluation", run_id="r"
    ) as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST.tail(1).reset_index(drop=True))
        opened.result = {"auc": 0.5}
    assert platform.vault.result("p", "test", "m1") == LEARNT


def test_failed_work_may_be_taken_up_again_and_each_attempt_is_written(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    with pytest.raises(ZeroDivisionError), opening(platform.vault, seals):
        raise ZeroDivisionError
    assert platform.vault.result("p", "test", "m1") is None
    with opening(platform.vault, seals) as opened:
        opened.result = LEARNT
    with pytest.raises(SplitSealed), opening(platform.vault, seals):
        pass
    attempts = rows(platform, split_attempts)
    assert [attempt["outcome"] for attempt in attempts] == ["opened", "resumed", "split_sealed"]
    assert len(rows(platform, split_access)) == 1


def test_an_opening_is_on_record_before_a_patient_is_handed_out(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    """Whatever becomes of the process from here on; another connection sees it."""
    with opening(platform.vault, seals) as opened:
        (row,), (attempt,) = rows(platform, split_access), rows(platform, split_attempts)
        assert (row["model_fingerprint"], row["result"], attempt["outcome"]) == ("m1", None, "opened")
        opened.result = LEARNT


def test_an_opening_that_was_not_finished_is_taken_up_for_its_own_purpose_alone(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    with pytest.raises(KeyboardInterrupt), opening(platform.vault, seals):
        raise KeyboardInterrupt
    with (
        pytest.raises(SplitSealed, match="for evaluation, which has not been finished"),
        opening(platform.vault, seals, purpose="curiosity"),
    ):
        pass
    with opening(platform.vault, seals) as opened:
        opened.result = LEARNT
    assert len(rows(platform, split_access)) == 1


@pytest.mark.parametrize(("model", "partition"), [("never trained", "p"), ("m3", "another")])
@pytest.mark.parametrize("split", ["test", "holdout"])
def test_a_split_opens_only_for_a_model_that_was_trained_on_the_partition(
    platform: SimpleNamespace, seals: dict[str, str], split: str, model: str, partition: str
) -> None:
    train(platform, "m3", partition)
    deploy(platform, model_fingerprint=model)
    with (
        pytest.raises(SplitSealed, match="only for a model that ml_training_runs has"),
        opening(platform.vault, seals, split, model),
    ):
        pass
    assert rows(platform, split_access) == []
    assert [attempt["outcome"] for attempt in rows(platform, split_attempts)] == ["split_sealed"]


def test_an_opening_without_a_result_does_not_count(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    with pytest.raises(SplitSealed, match="no result was stored"), opening(platform.vault, seals):
        pass
    assert platform.vault.result("p", "test", "m1") is None


@pytest.mark.parametrize(
    "other",
    [
        *({"status": status} for status in ("wanted", "replaced", "rolled_back", "failed", "superseded")),
        {"model_fingerprint": "m2"},
        {"partition": "q"},
        {"role": "shadow"},
    ],
    ids=str,
)
def test_the_holdout_stays_sealed_until_this_model_is_deployed(
    platform: SimpleNamespace, seals: dict[str, str], other: dict[str, str]
) -> None:
    deploy(platform, **other)
    with pytest.raises(SplitSealed, match="deployment is active"), opening(platform.vault, seals, "holdout"):
        pass
    assert rows(platform, split_access) == []


def test_the_holdout_of_a_deployed_model_opens_once(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    deploy(platform)
    with opening(platform.vault, seals, "holdout") as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST.head(1))
        opened.result = LEARNT
    with pytest.raises(SplitSealed, match="already opened"), opening(platform.vault, seals, "holdout"):
        pass


def test_the_database_itself_refuses_a_second_opening(platform: SimpleNamespace) -> None:
    row = {
        "partition": "p", "split": "holdout", "model_fingerprint": "m1", "purpose": "x", "run_id": "r",
    }  # fmt: skip
    platform.warehouse.record(split_access, [row])
    with pytest.raises(sa.exc.IntegrityError, match="ml_split_access_once"):
        platform.warehouse.record(split_access, [row])


def race(settings: Settings, seal: str, start: Any, answers: Any) -> None:
    """One of several processes that want the same split for the same model at the same moment."""
    vault = SplitVault(settings, Warehouse(settings))
    start.wait(180)
    try:
        with opening(vault, {"test": seal}) as opened:
            time.sleep(0.3)
            opened.result = LEARNT
        answers.put("opened")
    except SplitSealed:
        answers.put("refused")


def test_two_processes_racing_for_the_same_model_one_wins(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, answers = spawn.Barrier(2), spawn.Queue()
    contenders = [
        spawn.Process(target=race, args=(platform.settings, seals["test"], start, answers)) for _ in range(2)
    ]
    for contender in contenders:
        contender.start()
    assert sorted(answers.get(timeout=240) for _ in contenders) == ["opened", "refused"]
    for contender in contenders:
        contender.join(30)
    (row,) = rows(platform, split_access)
    assert json.loads(row["result"]) == LEARNT


def test_whoever_waits_gets_the_split_when_the_first_one_fails(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    inside, won = threading.Event(), []

    def first() -> None:
        with suppress(ZeroDivisionError), opening(platform.vault, seals):
            inside.set()
            time.sleep(0.2)
            raise ZeroDivisionError

    def second() -> None:
        inside.wait(10)
        with opening(platform.vault, seals) as opened:
            opened.result = LEARNT
        won.append(True)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert won


def test_a_sealed_file_says_nothing_without_the_key(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    files = sealed_files(platform)
    assert len(files) == 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    for file in files:
        content = file.read_bytes()
        assert b"patient" not in content
        assert b"PAR1" not in content
        with pytest.raises(Exception, match=r"(?i)parquet|magic"):
            pd.read_parquet(file)
    assert not list(Path(platform.settings.artifacts_url).rglob("*.parquet"))


def test_the_key_is_its_owners_alone_and_apart_from_what_it_seals(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    key = platform.settings.vault_key_file
    assert key.stat().st_mode & 0o777 == 0o600
    for folder in (platform.settings.vault_url, platform.settings.artifacts_url):
        assert not key.is_relative_to(folder)
    assert not [path for path in key.parent.iterdir() if path.name.startswith("tmp")]


def test_equal_content_has_the_same_seal_and_is_sealed_once(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    before = [file.read_bytes() for file in sealed_files(platform)]
    assert platform.vault.seal("p", SPLITS) == seals
    assert [file.read_bytes() for file in sealed_files(platform)] == before
    one, other = (VaultKey(platform.settings.vault_key_file).seal(b"content", "name") for _ in range(2))
    assert one != other


def other_key(platform: SimpleNamespace) -> SplitVault:
    key = SecretStr(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    return SplitVault(platform.settings.model_copy(update={"vault_key": key}), platform.warehouse)


def refused(vault: SplitVault, seals: dict[str, str], kind: type[VaultError], words: str) -> None:
    with pytest.raises(kind, match=words) as raised, opening(vault, seals):
        pass
    assert raised.value.next_step
    assert "patient" not in str(raised.value)


def test_another_key_is_named_and_a_new_sealing_recovers(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    vault = other_key(platform)
    refused(vault, seals, VaultKeyError, "was sealed with key [0-9a-f]{16}; the key here is [0-9a-f]{16}")
    assert rows(platform, split_access) == []
    assert vault.seal("p", SPLITS) == seals
    with opening(vault, seals) as opened:
        opened.result = LEARNT


def test_a_lost_key_is_not_replaced_in_silence(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    platform.settings.vault_key_file.unlink()
    refused(platform.vault, seals, VaultKeyError, "cannot be read")
    with pytest.raises(VaultKeyError, match="cannot be read"):
        platform.vault.seal("q", SPLITS)
    assert not platform.settings.vault_key_file.exists()
    Path(platform.settings.vault_url).rename(platform.settings.home_dir / "old vault")
    assert platform.vault.seal("p", SPLITS) == seals
    with opening(platform.vault, seals) as opened:
        opened.result = LEARNT


def test_a_key_that_others_can_read_is_refused(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    platform.settings.vault_key_file.chmod(0o644)
    refused(platform.vault, seals, VaultKeyError, "open to other users")


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"too short").decode()])
def test_what_is_no_key_is_refused(platform: SimpleNamespace, seals: dict[str, str], text: str) -> None:
    platform.settings.vault_key_file.write_text(text)
    refused(platform.vault, seals, VaultKeyError, "is no key: 32 bytes")


@pytest.mark.parametrize("spoil", ["altered", "cut short", "swapped", "gone", "plain"])
def test_a_spoilt_file_is_refused(platform: SimpleNamespace, seals: dict[str, str], spoil: str) -> None:
    holdout, test = sealed_files(platform)
    content = test.read_bytes()
    if spoil == "gone":
        test.unlink()
    else:
        test.write_bytes(
            {
                "altered": content[:-1] + bytes([content[-1] ^ 1]),
                "cut short": content[:30],
                "swapped": holdout.read_bytes(),
                "plain": TEST.to_parquet(index=False),
            }[spoil]
        )
    refused(platform.vault, seals, SealBroken, r"test-[0-9a-f]{16} (has been|is not)")
    # What the refusal advises.
    assert platform.vault.missing("p", seals) == ([f"p/test-{seals['test']}"] if spoil == "gone" else [])
    assert platform.vault.seal("p", SPLITS) == seals
    assert platform.vault.missing("p", seals) == []
    with opening(platform.vault, seals) as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST)
        opened.result = LEARNT


def test_files_from_before_encryption_are_refused_until_they_are_sealed(
    platform: SimpleNamespace, seals: dict[str, str]
) -> None:
    for file in sealed_files(platform):
        file.unlink()
    plain = Path(platform.settings.vault_url) / "p" / f"test-{seals['test']}.parquet"
    TEST.to_parquet(plain, index=False)
    refused(platform.vault, seals, SealBroken, "not in the vault .* as a sealed file")
    platform.vault.seal("p", {})
    assert not plain.exists()
    with opening(platform.vault, seals) as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST)
        opened.result = LEARNT


def test_a_vault_on_object_storage_is_sealed_the_same(platform: SimpleNamespace) -> None:
    remote = platform.settings.model_copy(update={"artifacts": f"memory://{secrets.token_hex(4)}"})
    with pytest.raises(VaultKeyError, match="other machines share it"):
        SplitVault(remote, platform.warehouse).seal("p", SPLITS)
    assert not platform.settings.vault_key_file.exists()  # each machine would have made its own
    key = SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())
    vault = SplitVault(remote.model_copy(update={"vault_key": key}), platform.warehouse)
    train(platform, "m1")
    seals = vault.seal("p", SPLITS)
    assert vault.seal("p", SPLITS) == seals
    with opening(vault, seals) as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST)
        opened.result = LEARNT


def test_nothing_else_reads_what_is_sealed() -> None:
    """The vault alone knows where the files are; the evaluations and the validation on holdout alone open one."""
    package = ROOT / "e2i_assets"
    sources = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    assert {name for name, text in sources.items() if "vault_url" in text} == {
        "settings.py", "resources/vault.py",
    }  # fmt: skip
    assert {name for name, text in sources.items() if "vault.open(" in text} == {
        "assets/evaluation.py", "assets/uplift_evaluation.py", "assets/holdout_validation.py",
    }  # fmt: skip
