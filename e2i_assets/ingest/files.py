"""CSV and Parquet files as DuckDB views: one file, a folder, a glob, here or behind an fsspec URL.

A CSV cell is text until somebody says what it is. A column counts as numbers, days or truth values only where
every cell reads back exactly as it is written; anything else stays text.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Reading

SUFFIXES = (".csv", ".parquet")
DELIMITERS = ",;\t|"
CHUNK = 1 << 20
LONGEST_LINE = 2_000_000
"""Bytes of the longest CSV record; a longer one is a lost quote rather than data."""
FILE = "__file"
"""Column of a view: the file that a row came from."""
AS_WRITTEN = "__as_written_"
"""Prefix of a CSV column's text beside its typed form."""


class Files:
    """The files of one source.

    Args:
        root: a file, folder or fsspec URL (`s3://bucket/folder`, with the filesystem's package installed).

    Raises:
        SourceError: nothing is there, or the URL's filesystem is not installed.
    """

    def __init__(self, root: str) -> None:
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
        self._scratch = tempfile.TemporaryDirectory(prefix="e2i-import-")

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
            sql = f"SELECT * FROM read_parquet({_literals(paths)}, filename='{FILE}')"
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
        first: list[str] | None = None
        for file in files:
            names, delimiter = self._header(file, reading)
            first = first if first is not None else names
            _check_same(files[0], first, file, names)
            groups.setdefault((tuple(names), delimiter), []).append(self._utf8(file, reading))
        assert first is not None
        text = " UNION ALL BY NAME ".join(
            _csv_sql(paths, names, delimiter, reading) for (names, delimiter), paths in groups.items()
        )
        types = _types(connection, text, first, reading)
        columns = [
            f"{_typed_sql(name, types[name], reading)} AS {quoted(name)}, "
            f"{quoted(name)} AS {quoted(AS_WRITTEN + name)}"
            for name in first
        ]
        return f"SELECT {', '.join(columns)}, {FILE} FROM ({text})"

    def _header(self, file: str, reading: Reading) -> tuple[list[str], str]:
        with self._fs.open(file, "rb") as opened:
            start = opened.read(CHUNK)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in reading.encoding:
            raise SourceError(f"{file}: is UTF-16; say `read: {{encoding: utf-16}}` in the mapping")
        try:
            text = _decoder(reading.encoding).decode(start)
        except UnicodeError as error:
            raise SourceError(f"{file}: is not {reading.encoding}: {error}") from error
        line = next(iter(text.splitlines()), "")
        if "\0" in line:
            raise SourceError(f"{file}: has NUL bytes; is it UTF-16? Say `read: {{encoding: utf-16}}`")
        if "\ufffd" in line:
            raise SourceError(
                f"{file}: its header is not {reading.encoding.upper()}; say "
                "`read: {encoding: latin-1}` (or cp1252, utf-16 …) in the mapping"
            )
        if len(start) == CHUNK and len(line) == len(text):
            raise SourceError(f"{file}: its first line is longer than {CHUNK:,} bytes; this is no CSV")
        delimiter = reading.delimiter or max(DELIMITERS, key=line.count)
        names = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
        _check_names(file, names)
        return names, delimiter

    def _utf8(self, file: str, reading: Reading) -> str:
        """Where DuckDB finds the file in UTF-8: itself, or a copy for other encodings."""
        if reading.encoding == "utf-8":
            return self._path(file)
        copy = Path(tempfile.mkdtemp(dir=self._scratch.name)) / Path(file).name
        decoder = codecs.getincrementaldecoder(reading.encoding)(errors="strict")
        already = codecs.getincrementaldecoder("utf-8")(errors="strict")
        is_utf8, beyond_ascii = True, False
        try:
            with self._fs.open(file, "rb") as given, copy.open("w", encoding="utf-8", newline="") as written:
                for chunk in itertools.chain(_chunks(given), [b""]):
                    written.write(decoder.decode(chunk, final=not chunk))
                    beyond_ascii = beyond_ascii or not chunk.isascii()
                    is_utf8 = is_utf8 and _decodes(already, chunk)
        except UnicodeError as error:
            reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
            raise SourceError(f"{file}: is not {reading.encoding}: {reason}") from error
        if is_utf8 and beyond_ascii:
            raise SourceError(f"{file}: is UTF-8, not {reading.encoding}; leave `encoding` out")
        return str(copy)


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _chunks(opened: Any) -> Iterator[bytes]:
    return iter(lambda: opened.read(CHUNK), b"")


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError:
        return False
    return True


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    """For a header: what cannot be decoded is found when the file is read, not here."""
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    return codecs.getincrementaldecoder(name)(errors="replace")


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


def _csv_sql(paths: Sequence[str], names: Sequence[str], delimiter: str, reading: Reading) -> str:
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"SELECT * FROM read_csv({_literals(paths)}, auto_detect=false, header=true, strict_mode=true, "
        f"delim={_literal(delimiter)}, quote='\"', escape='\"', columns={{{columns}}}, "
        f"nullstr={_literals(['', *reading.nulls])}, max_line_size={LONGEST_LINE}, filename='{FILE}')"
    )


def _number(name: str, reading: Reading) -> str:
    column = quoted(name)
    if reading.decimal == ".":
        return column
    return f"CASE WHEN NOT contains({column}, '.') THEN replace({column}, ',', '.') END"


def _typed_sql(name: str, dtype: str, reading: Reading) -> str:
    if dtype == "VARCHAR":
        return quoted(name)
    return f"CAST({_number(name, reading) if dtype == 'DOUBLE' else quoted(name)} AS {dtype})"


def _types(
    connection: duckdb.DuckDBPyConnection, text: str, names: Sequence[str], reading: Reading
) -> dict[str, str]:
    """The type in which every cell of a column reads back as it is written; numbers may be spelt freely."""
    number = r"[+-]?((0|[1-9][0-9]{0,14})(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"
    asked: list[tuple[str, str, str]] = []
    for name in names:
        x = quoted(name)
        asked += [(name, t, f"try_cast({x} AS {t})::VARCHAR = {x}") for t in ("BIGINT", "DATE", "TIMESTAMP")]
        asked.append((name, "DOUBLE", f"regexp_full_match({_number(name, reading)}, '{number}')"))
        asked.append((name, "BOOLEAN", f"lower({x}) IN ('true', 'false')"))
    # A column without any value gives null, and is text.
    selected = ", ".join(
        f"bool_and(coalesce({test}, false)) FILTER ({quoted(name)} IS NOT NULL)" for name, _, test in asked
    )
    answers = connection.execute(f"SELECT {selected} FROM ({text})").fetchall()[0]
    holding = [(name, dtype) for (name, dtype, _), holds in zip(asked, answers, strict=True) if holds]
    return {**dict.fromkeys(names, "VARCHAR"), **dict(reversed(holding))}


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _literals(values: Sequence[str]) -> str:
    return "[" + ", ".join(_literal(v) for v in values) + "]"
