"""The artifact store: whole versions, named by content, under a pointer."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pandas as pd
import pytest
from starlette.applications import Starlette

from e2i_assets.cli.front import LOOPBACK
from e2i_assets.cli.pages import pages_route
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore, Published
from e2i_assets.storage.filesystems import StoreUnavailable
from e2i_assets_tests.unit.test_front import served


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
            (folder / "sub" / "bytes.html").write_bytes(b"\xff\xfe")
            (folder / "folder.html").mkdir()
            (folder / "folder.html" / "a.txt").touch()

    version = store.write("b/c", "p", Report("<title>Quality</title><body>hello</body>"))
    with (
        served(Starlette(routes=[pages_route(store)])) as port,
        httpx.Client(base_url=f"http://{LOOPBACK}:{port}") as browser,
    ):
        answer = browser.get(f"/pages/b/c/p/{version}/sub/index.html")
        about = f"p, b/c, made {dt.datetime.now(dt.UTC):%Y-%m-%d}, version {version}"
        result = f"<title>{about}: Quality</title><body><p>{about}</p>hello</body>"
        assert (answer.status_code, answer.text) == (200, result)
        assert answer.headers["Content-Type"].startswith("text/html")
        for path in (
            f"b/c/p/{version}/a.txt", f"b/c/p/{version}/no.html", f"b/c/p/{version}/sub/bytes.html", f"b/c/p/{version}/folder.html", f"b/c/p/{version}", "", "index.html",
            f"b/c/p/x/..%2F{version}/sub/index.html", f"/b/c/p/{version}//sub/index.html",
        ):  # fmt: skip
            assert browser.get(f"/pages/{path}").status_code == 404


def test_a_link_in_the_store_is_no_page(tmp_path: Path) -> None:
    root, outside = tmp_path / "store", tmp_path / "outside"
    store = ArtifactStore(str(root))
    version = store.write("b/c", "p", Files("x"))
    outside.mkdir()
    (outside / "secret.html").write_text("hello")
    folder = root / "b/c/p" / version
    (folder / "fine.html").write_text("fine")
    (folder / "file.html").symlink_to(outside / "secret.html")
    (folder / "linked").symlink_to(outside)
    pages = [f"b/c/p/{version}/{name}" for name in ("fine.html", "file.html", "linked/secret.html")]
    assert [store.page(path) is not None for path in pages] == [True, False, False]
    (tmp_path / "elsewhere").symlink_to(root)  # the root itself may be one
    assert ArtifactStore(str(tmp_path / "elsewhere")).page(pages[0]) is not None


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
    monkeypatch.setattr(store._fs, "pipe_file", full)
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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", None, "a.txt is missing or not as written"),
        ("a.txt", "y", "a.txt is missing or not as written"),
        ("sub/b.txt", "", "sub/b.txt is missing or not as written"),
        ("more.txt", "x", "more.txt is missing or not as written"),
        ("files.json", "{", "files.json is damaged"),
        ("files.json", '{"identity": null, "files": {"a.txt": 1}}', "files.json is damaged"),
        ("files.json", None, None),
    ],
)
def test_damage_is_named_and_made_good_by_writing_the_same_again(
    tmp_path: Path, name: str, content: str | None, message: str | None
) -> None:
    store = ArtifactStore(str(tmp_path))
    version = store.write("a", "p", Files("x"))
    file = tmp_path / "a" / "p" / version / name
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content)
    if message is None:  # a release before there were lists
        assert store.damage("a", "p", version) is None
        assert store.read("a", "p", version, Files).text == "x"
        return
    assert store.damage("a", "p", version) == f"{file.parents[name.count('/')]}: {message}"
    with pytest.raises(ArtifactRefused, match=f"(?s){message}.*Materialize a again"):
        store.read("a", "p", version, Files)
    assert store.write("a", "p", Files("x")) == version
    assert store.damage("a", "p", version) is None
    assert store.read("a", "p", version, Files).text == "x"
    assert [path.name for path in (tmp_path / "a" / "p").iterdir()] == [version]


def test_a_version_that_is_gone_is_noticed(store: ArtifactStore) -> None:
    assert store.damage("a", "p", store.write("a", "p", Files("x"))) is None
    assert str(store.damage("a", "p", "0" * 16)).endswith("is gone")


def test_on_object_storage_damage_is_seen_by_names_and_sizes() -> None:
    store = ArtifactStore(f"memory://{uuid.uuid4().hex}")
    version = store.write("a", "p", Files("x"))
    (file,) = (path for path in store._fs.find(store._root) if path.endswith("/a.txt"))
    store._fs.rm(file)
    assert "a.txt is not what was written" in str(store.damage("a", "p", version))
    store.write("a", "p", Files("x"))
    assert store.read("a", "p", version, Files).text == "x"
    # Of the same size: seen where it is read, and where it is written again.
    store._fs.pipe_file(file, b"y")
    assert store.damage("a", "p", version) is None
    with pytest.raises(ArtifactRefused, match=r"(?s)a.txt is missing or not as written.*--force"):
        store.read("a", "p", version, Files)
    store.write("a", "p", Files("x"))
    assert store.read("a", "p", version, Files).text == "x"


def test_on_object_storage_a_version_is_there_as_a_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = ArtifactStore(f"memory://{uuid.uuid4().hex}")
    with monkeypatch.context() as patch:
        patch.setattr(store._fs, "pipe_file", _killed)  # all files are put, and not their list
        with pytest.raises(KeyboardInterrupt):
            store.write("a", "p", Files("x"))
    version = ArtifactStore(f"memory://{uuid.uuid4().hex}").write("a", "p", Files("x"))
    assert len(store._fs.find(store._root)) == 2
    assert not store.holds("a", "p", version)
    assert store.versions("a", "p") == []
    assert store.write("a", "p", Files("x")) == version
    assert store.read("a", "p", version, Files).text == "x"


def test_of_two_machines_that_write_a_version_at_once_the_list_of_the_first_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second one has put its files, in other bytes, when the first one's list is there."""
    root = f"memory://{uuid.uuid4().hex}"
    first, second = ArtifactStore(root), ArtifactStore(root)
    one, other = Fitted("x"), Fitted("x")
    one.padding, other.padding = "1", "22"
    put, versions = second._fs.put, []

    def overtaken(sources: list[str], targets: list[str]) -> None:
        put(sources, targets)
        versions.append(first.write("a", "p", one))

    monkeypatch.setattr(second._fs, "put", overtaken)
    assert second.write("a", "p", other) == versions[0]
    padding = [path for path in first._fs.find(first._root) if path.endswith("padding.txt")]
    assert [first._fs.cat_file(path) for path in padding] == [b"1"]
    assert second.read("a", "p", versions[0], Fitted).text == "x"


def test_a_folder_that_is_copied_to_object_storage_is_read_there(tmp_path: Path) -> None:
    local, remote = ArtifactStore(str(tmp_path)), ArtifactStore(f"memory://{uuid.uuid4().hex}")
    version = local.write("a", "p", Files("x"))
    local.publish(Published("a", "p", version, "f"))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            remote._fs.pipe_file(f"{remote._root}/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
    assert remote.current("a", "p") == local.current("a", "p")
    assert remote.damage("a", "p", version) is None
    assert remote.read("a", "p", version, Files).text == "x"


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


class Fitted(Files):
    """The same content in other bytes: what a pickle does."""

    padding = ""

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "padding.txt").write_text(self.padding)

    def identity(self) -> str:
        return hashlib.sha256(b"content " + self.text.encode()).hexdigest()


def test_an_artifact_that_names_its_content_is_stored_once_whatever_its_bytes(store: ArtifactStore) -> None:
    one, other = Fitted("x"), Fitted("x")
    other.padding = "what memory held"
    assert store.write("a", "p", one) == store.write("a", "p", other) == one.identity()[:16]
    assert store.write("a", "p", Fitted("y")) != one.identity()[:16]
    assert store.read("a", "p", one.identity()[:16], Fitted).text == "x"


def test_an_artifact_that_is_not_what_it_calls_itself_is_not_handed_out(tmp_path: Path) -> None:
    """Also where its list of hashes was altered with it."""
    store = ArtifactStore(str(tmp_path))
    version, other = (store.write("a", "p", Fitted(text)) for text in "xy")
    shutil.rmtree(tmp_path / "a" / "p" / version)
    shutil.copytree(tmp_path / "a" / "p" / other, tmp_path / "a" / "p" / version)
    assert "files.json is of another version" in str(store.damage("a", "p", version))
    listed = tmp_path / "a" / "p" / version / "files.json"
    listed.write_text(listed.read_text().replace(other, version))
    with pytest.raises(ArtifactRefused, match="its content is not that of this version"):
        store.read("a", "p", version, Fitted)
    with pytest.raises(ArtifactRefused, match=r"files\.json is of another version"):
        store.read("a", "p", version, Files)


@pytest.mark.parametrize(
    "text", ["altered", "", "{", "[]", '{"asset": "a"}', '{"asset": "b", "partition": "p", "version": "v", "fingerprint": "f"}']
)  # fmt: skip
def test_a_damaged_pointer_is_named_and_replaced_by_publishing(tmp_path: Path, text: str) -> None:
    store = ArtifactStore(str(tmp_path))
    version = store.write("a", "p", Record(1))
    pointer = tmp_path / "a" / "p" / "current.json"
    if text == "altered":
        store.publish(Published("a", "p", version, "f", display="shown"))
        text = pointer.read_text().replace("shown", "shawn")
    pointer.write_text(text)
    with pytest.raises(ArtifactRefused, match=f"(?s){pointer}.* is damaged .*--force"):
        store.current("a", "p")
    store.publish(Published("a", "p", version, "f"))
    assert store.current("a", "p") == Published("a", "p", version, "f")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells which file was synced")
def test_versions_and_pointers_reach_the_disk_before_they_are_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    synced, rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.split(".")[0])
        synced(descriptor)

    def renamed(source: Path, target: str) -> Path:
        order.append("renamed")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", renamed)
    store = ArtifactStore(str(tmp_path))
    version = store.write("a", "p", Files("x"))
    assert sorted(order[:-2]) == sorted(["a", "sub", "b", "files", version])
    assert order[-2:] == ["renamed", "p"]
    order.clear()
    store.publish(Published("a", "p", version, "f"))
    assert order == ["current", "renamed", "p"]


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


def test_a_version_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[int, bool]] = []
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        done.append((os.fstat(descriptor).st_ino, (tmp_path / "a" / "p" / version).exists()))

    store = ArtifactStore(str(tmp_path))
    version = ArtifactStore(str(tmp_path / "elsewhere")).write("a", "p", Files("x"))
    monkeypatch.setattr(os, "fsync", fsync)
    assert store.write("a", "p", Files("x")) == version
    names = {path.stat().st_ino: path.name for path in (tmp_path / "a").rglob("*")}
    *inside, folder, parent = ((names[number], named) for number, named in done)
    assert sorted(inside) == [(name, False) for name in ("a.txt", "b.txt", "files.json", "sub")]
    assert folder == (version, False)
    assert parent == ("p", True)


def test_a_version_that_the_disk_does_not_take_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_size == len("xx"):  # b.txt
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ArtifactRefused, match="No space left"):
        ArtifactStore(str(tmp_path)).write("a", "p", Files("x"))
    assert list((tmp_path / "a" / "p").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://joe:topsecret@127.0.0.1:1/x?key=topsecret", "ftp://joe@127.0.0.1:1/x does not answer"),
        ("nosuch://joe:topsecret@host/x", "nosuch://joe@host/x does not answer"),
    ],
)
def test_a_store_that_cannot_be_opened_is_named_without_its_password(url: str, message: str) -> None:
    with pytest.raises(StoreUnavailable) as error:
        ArtifactStore(url)
    assert message in error.value.summary
    assert "topsecret" not in error.value.summary
