"""CSV and Parquet files as DuckDB views: one file, a folder, a glob, here or behind an fsspec URL."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from e2i_assets.ingest.csv_files import FILE, header, literals, quoted, text_sql, to_utf8, typed_sql
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Reading

SUFFIXES = (".csv", ".parquet")


class Files:
    """The files of one source.

    Args:
        root: a file, folder or fsspec URL (`s3://bucket/folder`, with the filesystem's package installed).
        scratch: folder for copies of files that are not in UTF-8.

    Raises:
        SourceError: nothing is there, or the URL's filesystem is not installed.
    """

    def __init__(self, root: str, scratch: Path) -> None:
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(root)
            self.is_folder = self._fs.isdir(self._root)
            there = self.is_folder or self._fs.exists(self._root)
        except (ImportError, ValueError) as error:
            raise SourceError(f"{root}: {error}") from error
        except OSError as error:
            raise SourceError(f"{root}: cannot be reached: {type(error).__name__}") from error
        if not there:
            raise SourceError(f"{root}: no such file or folder")
        self._local = "file" in _protocols(self._fs)
        self._scratch = scratch

    def connect(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a DuckDB connection read from this source's filesystem."""
        if not self._local and not set(_protocols(self._fs)) & set(connection.list_filesystems()):
            connection.register_filesystem(self._fs)

    def find(self, pattern: str | None) -> list[str]:
        """Files of the source that a file name, folder or glob below it names, in order.

        Raises:
            SourceError: there is none, or they are of no kind that can be read.
        """
        path = f"{self._root.rstrip('/')}/{pattern}" if pattern and self.is_folder else self._root
        try:
            if self._fs.isdir(path):
                found = [f for f in self._fs.find(path) if f.endswith(SUFFIXES)]
            else:
                found = self._fs.glob(path) if any(c in path for c in "*?[") else [path]
        except OSError as error:
            raise SourceError(f"{path}: cannot be reached: {type(error).__name__}") from error
        found = sorted(f for f in found if self._fs.isfile(f))
        if not found:
            raise SourceError(f"{path}: no such file")
        if len({Path(f).suffix for f in found}) > 1 or not found[0].endswith(SUFFIXES):
            raise SourceError(f"{path}: must be .csv or .parquet, all of one kind")
        for file in found:
            if self._fs.size(file) == 0:
                raise SourceError(f"{file}: is empty")
        return found

    def tables(self) -> dict[str, str]:
        """Names, without ending, to the files and folders of files at the top of the source.

        Raises:
            SourceError: two have one name.
        """
        found: dict[str, str] = {}
        for path in sorted(self._fs.ls(self._root, detail=False)) if self.is_folder else [self._root]:
            file = Path(path)
            folder = self._fs.isdir(path)
            if not folder and file.suffix not in SUFFIXES:
                continue
            if folder and not any(f.endswith(SUFFIXES) for f in self._fs.find(path)):
                continue
            name = file.name if folder else file.stem
            if name in found:
                raise SourceError(f"{path}: table {name} is there twice, also as {found[name]}")
            found[name] = file.name
        return found

    def view(
        self, connection: duckdb.DuckDBPyConnection, name: str, pattern: str | None, reading: Reading
    ) -> str:
        """Make a view of the files; returns what errors are to call them.

        Besides the columns it has `__file`, and for CSV each column's text as `__as_written_<column>`.

        Raises:
            SourceError: a file is damaged, in another encoding, or its columns are not those of the others.
        """
        files = self.find(pattern)
        if files[0].endswith(".parquet"):
            self._check_parquet(files)
            paths = [self._path(f) for f in files]
            # Folders such as `zip=00501` make a column; its values are text.
            sql = (
                f"SELECT * FROM read_parquet({literals(paths)}, filename='{FILE}', hive_types_autocast=false)"
            )
        else:
            sql = self._csv(connection, files, reading)
        connection.execute(f"CREATE VIEW {quoted(name)} AS {sql}")
        return files[0] if len(files) == 1 else f"{Path(files[0]).parent}/* ({len(files)} files)"

    def _path(self, file: str) -> str:
        return file if self._local else self._fs.unstrip_protocol(file)

    def _check_parquet(self, files: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        first: dict[str, Any] | None = None
        for file in files:
            try:
                with self._fs.open(file, "rb") as opened:
                    schema = pq.read_schema(opened)
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
            with self._fs.open(file, "rb") as opened:
                names, delimiter = header(opened, file, reading)
            _check_names(file, names)
            groups.setdefault((tuple(names), delimiter), []).append(file)
            _check_same(files[0], next(iter(groups))[0], file, names)
        selects = []
        for (given, delimiter), group in groups.items():
            if reading.encoding == "utf-8":
                selects.append(text_sql([self._path(f) for f in group], given, delimiter, reading))
            else:
                copies = {file: self._copy(file, reading) for file in group}
                selects += [text_sql([copy], given, delimiter, reading, f) for f, copy in copies.items()]
        return typed_sql(connection, " UNION ALL BY NAME ".join(selects), next(iter(groups))[0], reading)

    def _copy(self, file: str, reading: Reading) -> str:
        """A copy of the file in UTF-8, the only encoding that DuckDB is asked to read."""
        copy = Path(tempfile.mkdtemp(dir=self._scratch)) / Path(file).name
        with self._fs.open(file, "rb") as given:
            to_utf8(given, file, copy, reading)
        return str(copy)


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _check_names(file: str, names: Sequence[str]) -> None:
    twice = [name for name, n in Counter(n.lower() for n in names).items() if n > 1]
    if twice:
        raise SourceError(f"{file}: has column {', '.join(twice)} twice; rename one of them")
    if not names or any(not name.strip() for name in names):
        raise SourceError(f"{file}: column {list(names).index('') + 1 if '' in names else 1} has no name")


def _check_same(first: str, wanted: Sequence[str], file: str, names: Sequence[str]) -> None:
    missing, new = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
    if missing or new:
        raise SourceError(
            f"{file}: its columns are not those of {first}: "
            + "; ".join(f"{said} {', '.join(of)}" for said, of in (("lacks", missing), ("has", new)) if of)
            + ". A column that was renamed in some files must have one name"
        )
