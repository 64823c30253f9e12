"""Files as they are found: links, archives, odd names, servers, and files that change while they are read."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
import pytest

from e2i_assets.addresses import without_secrets
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import MappingError
from e2i_assets.ingest.sources import BATCH_ROWS, read_source
from e2i_assets_tests.unit.source_frames import NOW, attributes, given, mapped, read, read_in

PEOPLE = "id,x\n1,5\n"
PACKED = gzip.compress(b"id,x\n2,6\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "b.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd"), r"b\.csv\.zst: must be \.csv, "),
        (lambda d: (d / "b.csv.gz").write_bytes(PACKED[:-9]), r"b\.csv\.gz: is cut off or damaged"),
        (lambda d: (d / "b.csv.gz").write_bytes(PACKED[:-1]), r"b\.csv\.gz: is cut off or damaged"),
        (lambda d: (d / "b.csv.gz").write_bytes(PACKED[:-8] + b"\0" * 8), r"b\.csv\.gz: is cut off or"),
        (lambda d: (d / "b.csv.gz").write_bytes(gzip.compress(b"")), r"b\.csv\.gz: is empty"),
        (lambda d: (d / "b.tsv").write_text("id\tx\n2\t6\n"), r"b\.tsv: must be \.csv, \.csv\.gz or"),
        (lambda d: (d / "b.csv").write_bytes(gzip.compress(b"id,x\n2,6\n")), r"b\.csv: is compressed"),
        (lambda d: (d / "b.csv").symlink_to(d / "nowhere"), r"b\.csv: cannot be read: is not there"),
        (lambda d: (d / "b.csv").symlink_to(d / "b.csv"), r"b\.csv: cannot be read: Too many levels"),
        (lambda d: (d / "loop").symlink_to(d), r"loop: is a link to a folder"),
        (lambda d: os.mkfifo(d / "b.csv"), r"b\.csv: is no file"),
    ],
    ids=[
        "zst",
        "cut-gz",
        "cut-gz-end",
        "gz-checksum",
        "empty-gz",
        "tsv",
        "gz-named-csv",
        "dangling",
        "link-to-itself",
        "loop",
        "pipe",
    ],
)
def test_what_a_folder_holds_is_read_or_named(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    given(tmp_path, PEOPLE, "data/a.csv")
    (tmp_path / "data" / "README.md").write_text("no data")
    mapping = mapped(tmp_path, {}, file="data")
    assert len(attributes(read_in(read_source(tmp_path, mapping, now=NOW)))) == 1
    spoil(tmp_path / "data")
    with pytest.raises(SourceError, match=message):
        read_source(tmp_path, mapping, now=NOW)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_packed_csv_is_read_as_what_is_in_it(tmp_path: Path, encoding: str) -> None:
    given(tmp_path, PEOPLE, "data/a.csv")
    (tmp_path / "data" / "b.csv.gz").write_bytes(gzip.compress("id,x\n2,ü\n".encode(encoding)))
    (tmp_path / "data" / "c.CSV.gz").write_bytes(gzip.compress(b"id,x\n3,6\n") + gzip.compress(b"4,7\n"))
    mapping = mapped(tmp_path, {}, file="data")
    mapping = mapping.model_copy(update={"read": mapping.read.model_copy(update={"encoding": encoding})})
    result = list(read_source(tmp_path, mapping, now=NOW).parts("patient_journeys"))
    assert [content["x"] for part in result for content in attributes(part)] == ["5", "ü", "6", "7"]
    assert [Path(part.origin or "").name for part in result] == ["a.csv", "b.csv.gz", "c.CSV.gz"]


def test_a_file_or_folder_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as name, as_nobody(Path(name)) as folder:
        mapping = mapped(folder, {}, file="data")
        given(folder, PEOPLE, "data/a.csv")
        closed = given(folder, PEOPLE.replace("1", "2"), "data/more/b.csv")
        for path in (closed, closed.parent):
            path.chmod(0)
            with pytest.raises(SourceError, match=f"{path}: cannot be read: Permission denied"):
                read_source(folder, mapping, now=NOW)
            path.chmod(0o700)


@contextmanager
def as_nobody(folder: Path) -> Iterator[Path]:
    """A folder of a user whom the system can refuse: the superuser may read everything."""
    if os.geteuid() != 0:
        yield folder
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(0)


def test_nothing_in_a_file_name_is_a_glob(tmp_path: Path) -> None:
    for name, value in (("b[1]", 1), ("b1", 2), ("b*", 3), ("B2", 4)):
        given(tmp_path, f"id,x\n{value},{value}\n", f"csv/{name}.CSV")
        (tmp_path / "pq").mkdir(exist_ok=True)
        pl.DataFrame({"id": [str(value)], "x": [value]}).write_parquet(tmp_path / "pq" / f"{name}.Parquet")
    for folder in ("csv", "pq"):
        load = read_source(tmp_path, mapped(tmp_path, {}, file=folder), now=NOW)
        assert sorted(a["x"] for a in attributes(read_in(load))) == [1, 2, 3, 4]
    load = read_source(tmp_path, mapped(tmp_path, {}, file="csv/b[1].CSV"), now=NOW)
    assert [a["x"] for a in attributes(read_in(load))] == [1]


def test_a_mapping_for_another_file_is_refused_by_line(tmp_path: Path) -> None:
    given(tmp_path, PEOPLE)
    for source, file, message in (
        (tmp_path / "people.csv", "nurses.csv", "is one file, and not nurses.csv"),
        (tmp_path, "nurses.csv", "no such file"),
        (tmp_path, None, "is a folder; name the file"),
    ):
        with pytest.raises(
            MappingError, match=rf"mapping\.yaml:\d+: tables\.patient_journeys\.file: .*{message}"
        ):
            read_source(source, mapped(tmp_path, {}, file=file), now=NOW)
    with pytest.raises(SourceError, match="a glob goes into the mapping"):
        read_source(tmp_path / "*.csv", mapped(tmp_path, {}), now=NOW)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda file: file.write_text(file.read_text() + "9,9\n"),
        lambda file: file.write_text(file.read_text().replace(",1", ",2")),
        lambda file: os.truncate(file, 100),
        lambda file: file.unlink(),
    ],
    ids=["grows", "is-rewritten", "is-cut", "disappears"],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, meanwhile: Callable[[Path], object]
) -> None:
    file = given(tmp_path, "id,x\n" + "".join(f"{i},1\n" for i in range(2 * BATCH_ROWS)))
    parts = read_source(file, mapped(tmp_path, {}), now=NOW).parts("patient_journeys")
    assert next(parts).frame.height == BATCH_ROWS
    meanwhile(file)
    with pytest.raises(SourceError, match=r"people\.csv: (changed while it was read|cannot be read: is not)"):
        list(parts)


def test_a_value_that_fails_late_is_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after the first batches is told by another library, with the value in its words."""
    monkeypatch.setattr("e2i_assets.ingest.sources.BATCH_ROWS", 2_000)
    rows = 60_000
    frame = pl.DataFrame({"id": pl.int_range(rows, eager=True).cast(pl.String)})
    late = pl.when(pl.col("id") == str(rows - 1)).then(pl.lit("secret")).otherwise(pl.lit("40"))
    wide = frame.with_columns(age=late, note=pl.col("id") + "x" * 500)
    wide.write_parquet(tmp_path / "people.parquet", row_group_size=2_000)
    mapping = mapped(tmp_path, {"age_at_diagnosis": "age::INTEGER + 1"})
    parts = read_source(tmp_path / "people.parquet", mapping, now=NOW).parts("patient_journeys")
    next(parts)
    with pytest.raises(MappingError, match=r"age_at_diagnosis: .*does not fit this expression") as error:
        list(parts)
    assert not isinstance(error.value.__cause__, duckdb.Error)
    assert "secret" not in str(error.value)


def test_a_zip_and_an_http_server_are_read(tmp_path: Path) -> None:
    """Neither filesystem can say when a file was modified, which DuckDB asks."""
    pl.DataFrame({"id": ["1"], "x": [5]}).write_parquet(tmp_path / "people.parquet")
    given(tmp_path, PEOPLE)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("people.csv", "people.parquet"):
            archive.write(tmp_path / name, name)
    mapping = mapped(tmp_path, {})
    with serving(tmp_path) as address:
        for url in (
            f"zip://people.csv::{tmp_path}/all.zip",
            f"zip://people.parquet::{tmp_path}/all.zip",
            f"{address}/people.csv",
        ):
            assert attributes(read_in(read_source(url, mapping, now=NOW))) == [{"x": 5}], url
        with pytest.raises(SourceError, match="no such file or folder"):
            read_source(f"{address}/nobody.csv", mapping, now=NOW)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_url_is_shown_without_its_secrets(tmp_path: Path) -> None:
    chained = "zip://a.csv::https://joe:topsecret@host:8/a.zip?token=topsecret"
    assert without_secrets(chained) == "zip://a.csv::https://joe@host:8/a.zip"
    assert without_secrets("http://joe:topsecret@[::1/a.csv") == "http://…"
    assert without_secrets("http://joe:topsecret@[::1]:8/a?sig=topsecret") == "http://joe@[::1]:8/a"
    for url in ("http://joe:topsecret@127.0.0.1:1/a.csv", "http://127.0.0.1:1/a.csv?sig=topsecret"):
        with pytest.raises(SourceError, match=r"127\.0\.0\.1:1/a\.csv: ") as error:
            read_source(url, mapped(tmp_path, {}), now=NOW)
        assert "topsecret" not in str(error.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [("id,x,x ", "column x twice"), ("id,x,X", "column x twice"), ("id,x,__file", "rename column __file")],
)
def test_columns_that_cannot_be_told_apart_are_refused(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path, f"{header}\n1,2,3\n", {})


def test_utf_32_is_not_taken_for_utf_16(tmp_path: Path) -> None:
    content = "id,stadt\n1,Köln\n".encode("utf-32")
    with pytest.raises(SourceError, match="is UTF-32; say"):
        read(tmp_path, content, {})
    assert attributes(read(tmp_path, content, {}, {"encoding": "utf-32"})) == [{"stadt": "Köln"}]
