"""CSV as DuckDB reads it: header, encoding, and what each column's cells are.

A CSV cell is text until somebody says what it is. A column counts as numbers, days or truth values only where
every cell reads back exactly as it is written (numbers may be spelt freely); anything else stays text.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.mapping import Reading

DELIMITERS = ",;\t|"
CHUNK = 1 << 20
LONGEST_LINE = 2_000_000
"""Bytes of the longest CSV record; a longer one is a lost quote rather than data."""
FILE = "__file"
"""Column of a view: the file that a row came from."""
AS_WRITTEN = "__as_written_"
"""Prefix of a CSV column's text beside its typed form."""
AS_KEPT = "__as_kept_"
"""Prefix of a CSV column in the form in which it is kept until somebody declares its type."""
ONLY_OURS = (FILE, AS_WRITTEN, AS_KEPT)
"""How columns of a view begin that the source does not have."""
ROW_NAMES = "Unnamed: 0"
"""What a first column without a name is called, as by pandas: R and pandas write their row names so."""
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"\xfd7zXZ")
"""How files begin that gzip, zstd, zip and xz made."""
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Byte order marks, the longer ones first: that of UTF-32 begins as that of UTF-16."""
NO_LETTERS = re.compile("[\x80-\x9f]")
"""Control characters of ISO 8859; Windows has letters and quotation marks there."""


def header(opened: BinaryIO, file: str, reading: Reading) -> tuple[list[str], str]:
    """Column names and delimiter of a file.

    Raises:
        SourceError: the first line is no header in the stated encoding.
    """
    start = opened.read(CHUNK)
    if not start:
        raise SourceError(f"{file}: is empty")
    if start.startswith(COMPRESSED):
        raise SourceError(f"{file}: is compressed; unpack it")
    marked = next((name for mark, name in MARKS.items() if start.startswith(mark)), None)
    if marked and not reading.encoding.startswith(marked):
        raise SourceError(f"{file}: is {marked.upper()}; say `read: {{encoding: {marked}}}` in the mapping")
    try:
        text = _decoder(reading.encoding).decode(start)
    except UnicodeError as error:
        raise SourceError(f"{file}: is not {reading.encoding}: {error}") from error
    line = re.split(r"\r\n|\n|\r", text, maxsplit=1)[0]
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
    rows = csv.reader(
        io.StringIO(line),
        delimiter=delimiter,
        quotechar=reading.quote or None,
        quoting=csv.QUOTE_MINIMAL if reading.quote else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        names = next(rows, [])
        if len(names) > 1 and not names[0].strip():
            names[0] = ROW_NAMES
        return names, delimiter
    except csv.Error as error:
        raise SourceError(f"{file}: its header has a quote that does not end on its line") from error


def to_utf8(opened: BinaryIO, file: str, copy: Path, reading: Reading) -> None:
    """Write a file again in UTF-8.

    Raises:
        SourceError: it is not in the stated encoding, or the text shows that it is in another.
    """
    decoder = codecs.getincrementaldecoder(reading.encoding)(errors="strict")
    already = codecs.getincrementaldecoder("utf-8")(errors="strict")
    is_utf8, beyond_ascii = True, False
    try:
        with copy.open("w", encoding="utf-8", newline="") as written:
            for chunk in itertools.chain(_chunks(opened), [b""]):
                text = decoder.decode(chunk, final=not chunk)
                if reading.encoding.startswith("iso8859") and NO_LETTERS.search(text):
                    raise SourceError(
                        f"{file}: has characters that are no letters in {reading.encoding}; is it cp1252?"
                    )
                written.write(text)
                beyond_ascii = beyond_ascii or not chunk.isascii()
                is_utf8 = is_utf8 and _decodes(already, chunk)
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        raise SourceError(f"{file}: is not {reading.encoding}: {reason}") from error
    if is_utf8 and beyond_ascii:
        raise SourceError(f"{file}: is UTF-8, not {reading.encoding}; leave `encoding` out")


def text_sql(
    paths: Sequence[str], names: Sequence[str], delimiter: str, reading: Reading, called: str | None = None
) -> str:
    """SQL for the cells of files with one header, all of them text.

    Args:
        called: what `__file` says of a file that is a copy.
    """
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
    quote = _literal(reading.quote)
    file = f"* REPLACE ({_literal(called)} AS {FILE})" if called is not None else "*"
    return (
        f"SELECT {file} FROM read_csv({literals(paths)}, auto_detect=false, header=true, strict_mode=true, "
        f"delim={_literal(delimiter)}, quote={quote}, escape={quote}, columns={{{columns}}}, "
        f"nullstr={literals(['', *reading.nulls])}, max_line_size={LONGEST_LINE}, filename='{FILE}')"
    )


def typed_sql(
    connection: duckdb.DuckDBPyConnection, text: str, names: Sequence[str], reading: Reading
) -> str:
    """SQL for the cells in the types that they have, as they are written, and as they are kept."""
    types = _types(connection, text, names, reading)
    forms = [f"{_forms(n, types[n], reading)}, {_as_kept(n, types[n], reading)}" for n in names]
    return f"SELECT {', '.join(forms)}, {FILE} FROM ({text})"


def typed_columns(
    connection: duckdb.DuckDBPyConnection, text: str, names: Sequence[str], reading: Reading
) -> dict[str, str]:
    """SQL of each column of text: in the type that all of its cells have, and as it is written."""
    types = _types(connection, text, names, reading)
    return {name: _forms(name, types[name], reading) for name in names}


def _forms(name: str, dtype: str, reading: Reading) -> str:
    return f"{_cell(name, dtype, reading)} AS {quoted(name)}, {quoted(name)} AS {quoted(AS_WRITTEN + name)}"


def folder_value(key: str) -> str:
    """SQL for the value that a folder `key=value` of a row's file states."""
    value = f"regexp_extract({FILE}, {_literal(f'/{re.escape(key)}=([^/]*)/')}, 1)"
    return f"nullif(url_decode({value}), '__HIVE_DEFAULT_PARTITION__')"


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


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


def _number(name: str, reading: Reading) -> str:
    column = quoted(name)
    if reading.decimal == ".":
        return column
    return f"CASE WHEN NOT contains({column}, '.') THEN replace({column}, ',', '.') END"


def _cell(name: str, dtype: str, reading: Reading) -> str:
    if dtype == "VARCHAR":
        return quoted(name)
    return f"CAST({_number(name, reading) if dtype == 'DOUBLE' else quoted(name)} AS {dtype})"


def _as_kept(name: str, dtype: str, reading: Reading) -> str:
    """A cell from which its spelling can be had again: whole numbers, else text with a decimal point."""
    if dtype == "BIGINT":
        cell = _cell(name, dtype, reading)
    else:
        cell = _number(name, reading) if dtype == "DOUBLE" else quoted(name)
    return f"{cell} AS {quoted(AS_KEPT + name)}"


def _types(
    connection: duckdb.DuckDBPyConnection, text: str, names: Sequence[str], reading: Reading
) -> dict[str, str]:
    """Type of each column."""
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


def literals(values: Sequence[str]) -> str:
    """Texts as an SQL list."""
    return "[" + ", ".join(_literal(v) for v in values) + "]"
