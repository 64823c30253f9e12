"""CSV and Parquet files as DuckDB views: one file, a folder, a glob, here or behind an fsspec URL."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb

from e2i_assets.addresses import without_secrets
from e2i_assets.ingest.csv_files import (
    FILE,
    ONLY_OURS,
    folder_value,
    header,
    literals,
    quoted,
    text_sql,
    to_utf8,
    typed_sql,
)
from e2i_assets.ingest.errors import NotThere, SourceError
from e2i_assets.ingest.mapping import Reading

SUFFIXES = (".csv", ".parquet")
DATA = re.compile(r"\.(csv|tsv|parquet|pq)(\.|$)", flags=re.IGNORECASE)
"""What a file is called that holds rows; one that is not of `SUFFIXES` must not be passed over in silence."""
GZIP = ".csv.gz"
"""A CSV that is unpacked before it is read: DuckDB would take one that is cut off for whole."""
MAGIC = "*?["


class Files:
    """The files of one source.

    Args:
        root: a file, folder or fsspec URL (`s3://bucket/folder`, with the filesystem's package installed).
        scratch: folder for copies of files that are packed or not in UTF-8.

    Raises:
        SourceError: nothing is there, or the URL's filesystem is not installed.
    """

    def __init__(self, root: str, scratch: Path) -> None:
        import fsspec

        self.name = without_secrets(root)
        if "://" in root and "?" in root:
            raise SourceError(
                f"{self.name}: a URL with a query (`?…`) cannot be read; download what it names"
            )
        try:
            self._fs, self._root = fsspec.core.url_to_fs(root)
            self.is_folder = self._fs.isdir(self._root)
            exists = self.is_folder or self._fs.exists(self._root)
        except (ImportError, ValueError) as error:
            raise SourceError(f"{self.name}: {str(error).replace(root, self.name)}") from error
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be reached: {type(error).__name__}") from error
        if not exists:
            hint = (
                "; a glob goes into the mapping (`file:`), below its folder" if set(MAGIC) & set(root) else ""
            )
            raise SourceError(f"{self.name}: no such file or folder{hint}")
        self._local = "file" in _protocols(self._fs)
        self._scratch = scratch
        self._states: dict[str, str] = {}
        self.opened: list[str] = []
        """What DuckDB reads, as it is told of it and as it is called."""

    def connect(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a DuckDB connection read from this source's filesystem."""
        if not self._local and not set(_protocols(self._fs)) & set(connection.list_filesystems()):
            _with_modified(self._fs)
            connection.register_filesystem(self._fs)

    def find(self, pattern: str | None) -> list[str]:
        """Files of the source that a file name, folder or glob below it names, in order.

        Raises:
            SourceError: there is none, one cannot be read, or they are of no kind that can be read.
        """
        path = f"{self._root.rstrip('/')}/{pattern}" if pattern and self.is_folder else self._root
        if pattern and not self.is_folder and not fnmatch(Path(path).name, PurePosixPath(pattern).name):
            raise NotThere(f"{self.name}: is one file, and not {pattern}")
        try:
            files = sorted(self._named(path))
        except OSError as error:
            raise self._unreachable(path, error) from error
        if not files:
            raise NotThere(f"{self._called(path)}: no such file")
        for file in files:
            if _suffix(file) not in SUFFIXES or _suffix(file) != _suffix(files[0]):
                raise SourceError(
                    f"{self._called(file)}: must be .csv, {GZIP} or .parquet, all of one kind and not "
                    "compressed in another way"
                )
            self._states[file] = self._state(file)
            if self._fs.size(file) == 0:
                raise SourceError(f"{self._called(file)}: is empty")
        return files

    def below(self, pattern: str | None) -> str | None:
        """The source's folder, where a pattern may name several files of it."""
        several = self.is_folder and not self._fs.isfile(f"{self._root.rstrip('/')}/{pattern}")
        return self._root.rstrip("/") if several else None

    def _named(self, path: str) -> Iterator[str]:
        if self._fs.isdir(path):
            yield from filter(_holds_rows, self._below(path))
        elif set(MAGIC) & set(path) and not self._fs.exists(path):
            # A link that leads nowhere is no file, and must be told of.
            yield from (f for f in self._fs.glob(path) if not self._fs.isdir(f))
        elif self._fs.exists(path):
            yield path

    def _below(self, folder: str) -> Iterator[str]:
        """Every file below a folder. Of a local one, what fsspec would pass over is an error.

        Raises:
            SourceError: a folder cannot be read, or is a link.
        """
        if not self._local:
            yield from self._fs.find(folder)
            return
        for here, folders, files in os.walk(folder, onerror=_raise):
            for link in (f"{here}/{name}" for name in folders if Path(here, name).is_symlink()):
                raise SourceError(f"{link}: is a link to a folder; name the folder itself")
            yield from (f"{here}/{name}" for name in files)

    def _state(self, file: str) -> str:
        """What changes when a file does.

        Raises:
            SourceError: the file is not there, or cannot be read.
        """
        try:
            self._fs.invalidate_cache()
            if self._local:
                # Opening what is no regular file may wait for ever.
                if not stat.S_ISREG(Path(file).stat().st_mode):
                    raise SourceError(f"{file}: is no file")
                Path(file).open("rb").close()
            return str(self._fs.info(file))
        except OSError as error:
            raise self._unreachable(file, error) from error

    def verify(self) -> None:
        """Make sure that the files that were opened are what they were.

        Raises:
            SourceError: one changed or disappeared while it was read.
        """
        for file, state in self._states.items():
            if self._state(file) != state:
                raise SourceError(f"{self._called(file)}: changed while it was read; import it again")

    def _called(self, file: str) -> str:
        return without_secrets(file)

    def _unreachable(self, path: str, error: OSError) -> SourceError:
        gone = isinstance(error, FileNotFoundError)
        reason = "is not there" if gone else error.strerror or type(error).__name__
        return SourceError(f"{self._called(str(error.filename or path))}: cannot be read: {reason}")

    def tables(self) -> dict[str, str]:
        """Names, without ending, to the files and folders of files at the top of the source.

        Raises:
            SourceError: two have one name.
        """
        files: dict[str, str] = {}
        for path in sorted(self._fs.ls(self._root, detail=False)) if self.is_folder else [self._root]:
            file = Path(path)
            folder = self._fs.isdir(path)
            if not any(map(_holds_rows, self._below(path))) if folder else not _holds_rows(path):
                continue
            name = file.name if folder else DATA.split(file.name)[0]
            if name in files:
                raise SourceError(f"{path}: table {name} is there twice, also as {files[name]}")
            files[name] = file.name
        return files

    def view(
        self, connection: duckdb.DuckDBPyConnection, name: str, pattern: str | None, reading: Reading
    ) -> str:
        """Make a view of the files; returns what errors are to call them.

        Besides the columns it has `__file`, and for CSV each column's text as `__as_written_<column>`.

        Raises:
            SourceError: a file is damaged, in another encoding, or its columns are not those of the others.
        """
        files = self.find(pattern)
        if _suffix(files[0]) == ".parquet":
            self._check_parquet(files)
            paths = self._paths(files)
            # Folders such as `zip=00501` make a column; its values are text.
            sql = (
                f"SELECT * FROM read_parquet({literals(paths)}, filename='{FILE}', hive_types_autocast=false)"
            )
        else:
            sql = self._csv(connection, files, reading)
        connection.execute(f"CREATE VIEW {quoted(name)} AS {sql}")
        called = self._called(files[0])
        return called if len(files) == 1 else f"{called.rpartition('/')[0]}/* ({len(files)} files)"

    def _paths(self, files: Sequence[str]) -> list[str]:
        """Files as DuckDB is to be told of them: nothing in their names is a glob."""
        called = [file if self._local else self._fs.unstrip_protocol(file) for file in files]
        escaped = [re.sub(r"[*?[]", r"[\g<0>]", file) for file in called]
        self.opened += [*called, *escaped]
        return escaped

    def _check_parquet(self, files: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        first: dict[str, Any] | None = None
        for file in files:
            try:
                with self._fs.open(file, "rb") as opened:
                    schema = pq.read_schema(opened)
            except PermissionError as error:
                raise SourceError(f"{file}: cannot be read, permission denied") from error
            except (pa.ArrowException, OSError) as error:
                raise SourceError(
                    f"{file}: cannot be read, the file is damaged or no Parquet ({type(error).__name__})"
                ) from error
            _check_names(file, schema.names)
            types = dict(zip(schema.names, schema.types, strict=True))
            first = first if first is not None else types
            _check_same(files[0], list(first), file, list(types))
            for column, dtype in types.items():
                if dtype != first[column]:
                    raise SourceError(
                        f"{file}: column {column} is {dtype}, and {first[column]} in {files[0]}; "
                        "import the files one by one, or write them alike"
                    )

    def _csv(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str], reading: Reading) -> str:
        groups: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for file in files:
            with self._unpacked(file) as opened:
                names, delimiter = header(opened, file, reading)
            _check_names(file, names)
            groups.setdefault((tuple(names), delimiter), []).append(file)
            _check_same(files[0], next(iter(groups))[0], file, names)
        selects = []
        for (header_names, delimiter), group in groups.items():
            if reading.encoding == "utf-8" and not any(map(_is_packed, group)):
                selects.append(text_sql(self._paths(group), header_names, delimiter, reading))
            else:
                copies = {file: self._copy(file, reading) for file in group}
                selects += [
                    text_sql([copy], header_names, delimiter, reading, f) for f, copy in copies.items()
                ]
        text, names = " UNION ALL BY NAME ".join(selects), list(next(iter(groups))[0])
        if keys := self._keys(files):
            _check_names(files[0], [*names, *keys])
            folder_columns = ", ".join(f"{folder_value(key)} AS {quoted(key)}" for key in keys)
            text = f"SELECT *, {folder_columns} FROM ({text})"
        return typed_sql(connection, text, [*names, *keys], reading)

    def _keys(self, files: Sequence[str]) -> list[str]:
        """Names of the columns that folders such as `zip=00501` below the source make, as with Parquet."""
        keys_of_files = [
            [
                part.partition("=")[0]
                for part in PurePosixPath(f.removeprefix(self._root)).parts[:-1]
                if "=" in part
            ]
            for f in files
        ]
        for file, keys in zip(files, keys_of_files, strict=True):
            _check_same(files[0], keys_of_files[0], file, keys)
        return keys_of_files[0]

    def _copy(self, file: str, reading: Reading) -> str:
        """A copy of the file, unpacked and in UTF-8, the only encoding that DuckDB is asked to read."""
        copy = Path(tempfile.mkdtemp(dir=self._scratch)) / "copy.csv"
        with self._unpacked(file) as opened:
            if reading.encoding != "utf-8":
                to_utf8(opened, file, copy, reading)
            else:
                with copy.open("wb") as written:
                    shutil.copyfileobj(opened, written)
        return str(copy)

    @contextmanager
    def _unpacked(self, file: str) -> Iterator[Any]:
        """The bytes of a CSV.

        Raises:
            SourceError: it is packed, and damaged.
        """
        try:
            with self._fs.open(file, "rb", compression="gzip" if _is_packed(file) else None) as opened:
                yield opened
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(f"{self._called(file)}: is cut off or damaged, or no gzip") from error


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _suffix(file: str) -> str:
    return ".csv" if _is_packed(file) else PurePosixPath(file).suffix.lower()


def _is_packed(file: str) -> bool:
    return file.lower().endswith(GZIP)


def _holds_rows(file: str) -> bool:
    """Whether a file holds rows, by its name, readable or not."""
    name = PurePosixPath(file).name
    return _suffix(file) in SUFFIXES or bool(DATA.search(name) and not name.startswith((".", "_")))


def _raise(error: OSError) -> None:
    raise error


def _with_modified(fs: Any) -> None:
    """DuckDB asks when a file was modified, which not every filesystem knows; `verify` tells changes."""
    import datetime as dt

    import fsspec

    if type(fs).modified is fsspec.AbstractFileSystem.modified:
        fs.modified = lambda path: dt.datetime.fromtimestamp(0, dt.UTC)


def _check_names(file: str, names: Sequence[str]) -> None:
    twice = [name for name, n in Counter(n.strip().lower() for n in names).items() if n > 1 and name]
    if twice:
        raise SourceError(f"{file}: has column {', '.join(twice)} twice; rename one of them")
    for i, name in enumerate(names or [""]):
        if not name.strip():
            raise SourceError(f"{file}: column {i + 1} has no name")
        if name.lower().startswith(ONLY_OURS):
            raise SourceError(f"{file}: rename column {name}; names that begin so are used here")


def _check_same(first: str, wanted: Sequence[str], file: str, names: Sequence[str]) -> None:
    missing, new = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    if missing or new:
        raise SourceError(
            f"{file}: its columns are not those of {first}: "
            + "; ".join(f"{verb} {', '.join(of)}" for verb, of in (("lacks", missing), ("has", new)) if of)
            + ". A column that was renamed in some files must have one name"
        )
