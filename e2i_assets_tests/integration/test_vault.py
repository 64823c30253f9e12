"""The split vault: once for a model, never the holdout, nothing spent when the work fails."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from e2i_assets.resources.vault import SplitSealed, SplitVault

TEST = pd.DataFrame({"patient_id": ["a", "b"], "x": [1.0, 2.0]})


@pytest.fixture
def seals(platform: SimpleNamespace) -> dict[str, str]:
    return platform.vault.seal("p", {"test": TEST, "holdout": TEST.head(1)})


def opening(vault: SplitVault, seals: dict[str, str], split: str = "test", model: str = "m1"):
    return vault.open("p", split, seals[split], model_fingerprint=model, purpose="evaluation", run_id="r")


def test_a_model_meets_test_once(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    assert platform.vault.result("test", "m1") is None
    with opening(platform.vault, seals) as opened:
        pd.testing.assert_frame_equal(opened.frame, TEST)
        opened.result_version = "v1"
    assert platform.vault.result("test", "m1") == "v1"
    with pytest.raises(SplitSealed, match="already opened for model m1"), opening(platform.vault, seals):
        pass
    with opening(platform.vault, seals, model="m2") as opened:
        opened.result_version = "v2"


def test_failed_work_leaves_the_split_unopened(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    with pytest.raises(ZeroDivisionError), opening(platform.vault, seals):
        raise ZeroDivisionError
    assert platform.vault.result("test", "m1") is None
    with opening(platform.vault, seals) as opened:
        opened.result_version = "v1"


def test_an_opening_without_a_result_does_not_count(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    with pytest.raises(SplitSealed, match="no result was stored"), opening(platform.vault, seals):
        pass
    assert platform.vault.result("test", "m1") is None


def test_the_holdout_stays_sealed(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    with pytest.raises(SplitSealed, match="deployment is active"), opening(platform.vault, seals, "holdout"):
        pass


def test_two_racing_for_the_same_model_one_wins(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    inside, release, lost = threading.Event(), threading.Event(), []

    def first() -> None:
        with opening(platform.vault, seals) as opened:
            inside.set()
            release.wait(10)
            opened.result_version = "v1"

    def second() -> None:
        try:
            with opening(platform.vault, seals):
                pass
        except SplitSealed as refused:
            lost.append(refused)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(20)
    assert len(lost) == 1


def test_sealed_files_are_the_owners_alone(platform: SimpleNamespace, seals: dict[str, str]) -> None:
    files = list(Path(platform.settings.vault_url).rglob("*.parquet"))
    assert len(files) == 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert not list(Path(platform.settings.artifacts_url).rglob("*.parquet"))
