"""The artifact store: whole versions, named by content, under a pointer."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pandas as pd
import pytest

from e2i_assets.assets.artifacts import Splits
from e2i_assets.cli.pages import serve_pages
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published


@dataclass(frozen=True)
class Record:
    value: int
    parts: tuple[str, ...] = ()


class Files:
    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, folder: Path) -> None:
        (folder / "a.txt").write_text(self.text)
        (folder / "sub").mkdir()
        (folder / "sub" / "b.txt").write_text(self.text * 2)

    @classmethod
    def load(cls, folder: Path) -> Self:
        assert (folder / "sub" / "b.txt").exists()
        return cls((folder / "a.txt").read_text())


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def test_artifacts_come_back(store: ArtifactStore) -> None:
    assert store.read("a", "p", store.write("a", "p", Record(1, ("x",))), Record) == Record(1, ("x",))
    assert store.read("b/c", "p", store.write("b/c", "p", Files("hello")), Files).text == "hello"


def test_pages_and_nothing_else_are_served(store: ArtifactStore) -> None:
    class Report(Files):
        def save(self, folder: Path) -> None:
            super().save(folder)
            (folder / "sub" / "index.html").write_text(self.text)

    version = store.write("b/c", "p", Report("hello"))
    server = serve_pages(store, "127.0.0.1", 0)
    root = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        answer = httpx.get(f"{root}/b/c/p/{version}/sub/index.html")
        assert (answer.status_code, answer.text) == (200, "hello")
        assert answer.headers["Content-Type"].startswith("text/html")
        for path in (
            f"b/c/p/{version}/a.txt", f"b/c/p/{version}/no.html", f"b/c/p/{version}", "", "index.html",
            f"b/c/p/x/..%2F{version}/sub/index.html", f"/b/c/p/{version}//sub/index.html",
        ):  # fmt: skip
            assert httpx.get(f"{root}/{path}").status_code == 404
    finally:
        server.shutdown()
        server.server_close()


def test_the_version_is_the_content(store: ArtifactStore) -> None:
    first = store.write("a", "p", Record(1))
    assert store.write("a", "p", Record(1)) == first
    assert store.write("a", "p", Record(2)) != first
    assert store.write("b/c", "p", Files("x")) != store.write("b/c", "p", Files("y"))


def test_older_versions_are_kept(store: ArtifactStore) -> None:
    old, new = store.write("a", "p", Record(1)), store.write("a", "p", Record(2))
    store.publish(Published("a", "p", old, "f1"))
    store.publish(Published("a", "p", new, "f2", gates={"g": True}, attributes={"k": [1]}))
    assert store.current("a", "p") == Published("a", "p", new, "f2", gates={"g": True}, attributes={"k": [1]})
    assert store.read("a", "p", old, Record) == Record(1)


def test_nothing_published_is_nothing(store: ArtifactStore) -> None:
    assert store.current("a", "p") is None
    with pytest.raises(ArtifactRefused, match="no version"):
        store.read("a", "p", "0" * 16, Record)


def test_an_artifact_that_fails_to_save_leaves_nothing(tmp_path: Path) -> None:
    class Breaks(Files):
        def save(self, folder: Path) -> None:
            (folder / "half.txt").write_text("half")
            raise OSError(28, "No space left on device")

    store = ArtifactStore(str(tmp_path / "store"))
    with pytest.raises(ArtifactRefused, match="No space left"):
        store.write("a", "p", Breaks("x"))
    assert not (tmp_path / "store").exists()


def test_a_disk_that_is_full_leaves_the_version_before_and_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(str(tmp_path))
    old = store.write("a", "p", Record(1))
    store.publish(Published("a", "p", old, "f1"))

    def half(folder: str, target: str, **_: object) -> None:
        Path(target).mkdir()
        (Path(target) / "record.json").write_text("{")
        raise OSError(28, "No space left on device")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._fs, "put", half)
    monkeypatch.setattr("e2i_assets.resources.store.json.dump", full)
    with pytest.raises(ArtifactRefused, match=f"{tmp_path}: No space left"):
        store.write("a", "p", Record(2))
    with pytest.raises(ArtifactRefused, match=f"{tmp_path}: No space left"):
        store.publish(Published("a", "p", "0" * 16, "f2"))
    assert store.current("a", "p") == Published("a", "p", old, "f1")
    assert sorted(f.name for f in (tmp_path / "a" / "p").iterdir()) == sorted([old, "current.json"])


def test_two_processes_may_store_the_same_version(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store.write("a", "p", Files("x"))
    exists, answers = store._fs.exists, iter([False])
    monkeypatch.setattr(store._fs, "exists", lambda path: next(answers, None) or exists(path))
    assert store.write("a", "p", Files("x")) == version
    assert store.read("a", "p", version, Files).text == "x"
    assert len(store._fs.ls(f"{store._root}/a/p")) == 1


def test_a_version_that_was_changed_is_not_handed_out(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path))
    version = store.write("a", "p", Files("x"))
    (tmp_path / "a" / "p" / version / "a.txt").write_text("y")
    with pytest.raises(ArtifactRefused, match="changed after it was judged"):
        store.read("a", "p", version, Files)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ArtifactRefused, match="closed"):
        ArtifactStore(str(tmp_path / "closed")).write("a", "p", Record(1))


def test_a_refused_write_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "a"))

    monkeypatch.setattr(store._fs, "makedirs", refuse)
    with pytest.raises(ArtifactRefused, match="E2I_ARTIFACTS"):
        store.write("a", "p", Record(1))


def test_splits_of_the_first_release_tell_whom_they_trained_on(tmp_path: Path) -> None:
    """It kept no assignments; a patient who leaves train or validation is still seen."""
    frames = {
        name: pd.DataFrame({"patient_id": ids, "x": 1.0})
        for name, ids in {"train": ["a", "a", "b"], "validation": ["c"]}.items()
    }
    whole = pd.DataFrame(
        {"patient_id": ["a", "b", "c", "d"], "split": ["train", "train", "validation", "test"]}
    )
    Splits(**frames, assigned=whole, features=(), outcomes=(), seals={}, counts={}).save(tmp_path)
    pd.testing.assert_frame_equal(Splits.load(tmp_path).assigned, whole)
    (tmp_path / "assigned.parquet").unlink()
    known = Splits.load(tmp_path).assigned.reset_index(drop=True)
    pd.testing.assert_frame_equal(known, whole.head(3))
