"""Read other people's data as tables of ours: files, a DuckDB file, another PostgreSQL, an OMOP CDM.

DuckDB evaluates the mapping's expressions and streams the result, so a source may be larger than memory.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl

from e2i_assets.contracts.base import columns, key_of
from e2i_assets.contracts.rejected import REJECTED_SCHEMA
from e2i_assets.contracts.spelling import key
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest import attributes, omop
from e2i_assets.ingest.casting import beyond_years, cast, written
from e2i_assets.ingest.csv_files import FILE, LONGEST_LINE, quoted
from e2i_assets.ingest.errors import Misstated, NotThere, SourceError, unreadable
from e2i_assets.ingest.load import ROW, Load, Part, Rows
from e2i_assets.ingest.mapping import (
    ColumnMapping,
    Mapping,
    Reading,
    TableMapping,
    generated_keys,
)
from e2i_assets.ingest.opening import Opened, Source, open_source
from e2i_assets.ingest.planning import CARRIED, CONTENT, KEEP, Plan, plan
from e2i_assets.ingest.problems import LoadError, Problem

BATCH_ROWS = 50_000
KEY_DIGITS = 20
"""Hexadecimal digits of a key by content: two of a million rows are alike by chance once in 10^12 loads."""
BEYOND = "must be in the years 1 to 9999"
TOO_LONG = f"must be at most {LONGEST_LINE:,} bytes"

BY_DEFAULT = ("data_source", "ingestion_timestamp")
"""Columns that the load itself fills where nobody says with what."""
MISSING = "is missing; give it, empty where it is not known, or say in a mapping what fills the table"
"""Nothing fills a column by silence: rows that are in the warehouse already would lose its values."""


def read_source(source: str | Path, mapping: Mapping | None, *, now: dt.datetime) -> Load:
    """Read a source as a load.

    Args:
        source: a file, a folder, an fsspec URL, a DuckDB file, or the URL of a PostgreSQL.
        mapping: how columns become ours; without one each file is named for its table and has its columns.
        now: what `ingestion_timestamp` is where the mapping does not say, as its `source` is `data_source`.

    Raises:
        SourceError: a file is missing, empty or damaged.
        MappingError: an expression that cannot be evaluated.
        LoadError: without a mapping, columns that are not those of the contract.
    """
    opened = open_source(str(source))
    mapping = mapping if mapping is not None else _by_name(opened)
    notes: tuple[str, ...] = ()
    if mapping.omop is not None:
        try:
            notes = omop.build(opened, mapping.omop, omop.prefix_of(mapping.source), mapping.read)
        except Misstated as error:
            raise mapping.error(error.key, str(error)) from error
        except NotThere as error:
            raise mapping.error(("omop", "schema"), str(error)) from error
        filled = {table: _omop_table(opened, table, mapping) for table in omop.FILLS}
    else:
        filled = {
            table: (_opened(opened, table, spec, mapping), spec) for table, spec in mapping.tables.items()
        }
    opened.seal()
    plans = [plan(opened_table, table, spec, mapping) for table, (opened_table, spec) in filled.items()]
    notes += tuple(note for table_plan in plans for note in table_plan.notes())
    tables: dict[str, Rows] = {table_plan.table: parts(table_plan, now) for table_plan in plans}
    return Load(
        tables,
        source=mapping.source,
        origins={table_plan.table: table_plan.origin for table_plan in plans},
        notes=notes,
        not_collected={table: _not_brought(table, spec, mapping) for table, (_, spec) in filled.items()},
    )


def _not_brought(table: str, spec: TableMapping, mapping: Mapping) -> list[str]:
    """Columns of ours that may be empty, and that the mapping fills with nothing."""
    nothing = {name for name, how in spec.columns.items() if how.expression.strip().upper() == "NULL"}
    if mapping.omop is not None and table == "patient_journeys":
        counted = {
            "comorbidity_count": mapping.omop.comorbidities,
            "prior_treatment_count": mapping.omop.prior_treatments,
            "treatment_initiated": mapping.omop.treatment,
            "days_to_treatment": mapping.omop.treatment,
        }
        nothing |= {name for name, sets in counted.items() if not sets}
    filled = set(spec.columns) - nothing | {"data_source", "ingestion_timestamp"}
    return [c.name for c in columns(TABLES[table]) if c.nullable and not c.json and c.name not in filled]


def _opened(source: Source, table: str, spec: TableMapping, mapping: Mapping) -> Opened:
    try:
        opened = source.open(table, spec, mapping.reading(table))
    except NotThere as error:
        place = "table" if spec.table is not None else "file"
        raise mapping.error(("tables", table, place), str(error)) from error
    return _in_zone(opened, table, mapping)


def _in_zone(opened: Opened, table: str, mapping: Mapping) -> Opened:
    """A session of its own, in which days and hours are those of the mapping's zone, wherever this runs."""
    session = opened.connection.cursor()
    session.execute("SET TimeZone = ?", [mapping.reading(table).time_zone or "UTC"])
    return replace(opened, connection=session)


def _by_name(source: Source) -> Mapping:
    """A source whose tables are named as ours and have our columns."""
    specs, problems = {}, []
    named = {name.lower(): spec for name, spec in source.tables().items() if name.lower() in TABLES}
    if not named:
        raise SourceError(
            f"{source.name}: nothing is named for a table of ours ({', '.join(TABLES)}); "
            "give a mapping file with --mapping, or draft one with --suggest"
        )
    for table, spec in named.items():
        opened = source.open(f"{table}?", spec, Reading(), most=0)
        names = list(opened.columns())
        contract = TABLES[table].to_schema().columns
        problems += [
            Problem(opened.origin, table, name, "is not in the contract", 0)
            for name in names
            if name not in contract
        ]
        problems += [
            Problem(opened.origin, table, c.name, MISSING, 0)
            for c in columns(TABLES[table])
            if c.name not in names and c.name not in BY_DEFAULT
        ]
        specs[table] = spec.model_copy(update={"columns": _same(names)})
    if problems:
        raise LoadError(problems)
    return Mapping(source=source.name, tables=specs)


def _same(names: Iterable[str]) -> dict[str, ColumnMapping]:
    """Columns that are ours already."""
    return {name: ColumnMapping.model_validate(quoted(name)) for name in names}


def _omop_table(source: Source, table: str, mapping: Mapping) -> tuple[Opened, TableMapping]:
    """A table of ours that was made from an OMOP CDM, and has our columns already."""
    opened = Opened(source.connection, table, f"{source.name} (OMOP)", source)
    contract = TABLES[table].to_schema().columns
    spec = TableMapping(columns=_same(name for name in opened.columns() if name in contract))
    return _in_zone(opened, table, mapping), spec


def parts(plan: Plan, now: dt.datetime) -> Iterator[Part]:
    """The rows of a plan, in the source's order; rows with a cell that is no value of ours are refused.

    Raises:
        SourceError: the source disappears or turns out to be damaged.
        MappingError: a value does not fit an expression.
    """
    import pyarrow as pa

    seen: Counter[str] = Counter()
    number = _numbering(plan)
    try:
        for arrow in plan.opened.connection.sql(plan.select).to_arrow_reader(BATCH_ROWS):
            batch = pl.DataFrame(pl.from_arrow(arrow))
            for file, file_rows in _by_file(batch):
                first = seen[file or ""] + 1
                seen[file or ""] += file_rows.height
                numbered = number(file_rows.with_row_index(ROW, first), file)
                for i in range(len(plan.rows)):
                    yield _part(plan, _row(plan, numbered, i), now, file)
    # What fails after the first batch comes through Arrow.
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise _failure(plan, error) from error
    plan.opened.source.verify()
    if not seen:
        raise SourceError(f"{plan.origin}: has no rows")


def _failure(plan: Plan, error: Exception) -> ValueError:
    """Which expression fails on a value, or else what is wrong with the source.

    The library quotes the value; it may be a patient's, so only the expression is named.
    """
    view = quoted(plan.opened.view)
    asked = plan.opened.connection
    try:
        plan.opened.source.verify()
        asked.execute(f"SELECT count(COLUMNS(*)) FROM {view}").fetchall()
    except SourceError as changed:
        return changed
    except duckdb.Error as damaged:
        return unreadable(plan.origin, damaged)
    for name, sql in (item for row in plan.rows for item in row.items()):
        try:
            asked.execute(f"SELECT count(x) FROM (SELECT ({sql}) AS x FROM {view})").fetchall()
        except duckdb.Error as failed:
            if type(failed) is duckdb.Error:  # the filesystem's, not the expression's
                break
            problem = "a value does not fit this expression; `try_cast` and `try_strptime` make it empty"
            return plan.error(name, f"{plan.origin}: {problem}")
    return unreadable(plan.origin, error)


def _numbering(plan: Plan) -> Callable[[pl.DataFrame, str | None], pl.DataFrame]:
    """Gives rows, in the source's order, the key that the mapping wants of their place or content.

    Equal rows are told apart by how many came before; which of them is which makes no difference.
    """
    prefix = omop.prefix_of(plan.mapping.source)
    if plan.spec.key is None:
        return lambda rows, file: rows
    if plan.spec.key == "line":
        below = plan.opened.below

        def by_line(rows: pl.DataFrame, file: str | None) -> pl.DataFrame:
            where = "" if below is None or file is None else f"{file.rpartition(f'{below}/')[2]}:"
            return rows.with_columns((pl.lit(prefix + where) + pl.col(ROW).cast(pl.String)).alias(CONTENT))

        return by_line
    view, content = quoted(plan.opened.view), plan.content
    twice = f"SELECT {content} AS x FROM {view} GROUP BY x HAVING count(*) > 1"
    several = {x for (x,) in plan.opened.connection.cursor().execute(twice).fetchall()}
    before: Counter[str] = Counter()

    def by_content(rows: pl.DataFrame, file: str | None) -> pl.DataFrame:
        keys = []
        for x in rows.get_column(CONTENT):
            key = f"{prefix}{x[:KEY_DIGITS]}"
            if x in several:
                before[x] += 1
            keys.append(key if before[x] < 2 else f"{key}_{before[x]}")
        return rows.with_columns(pl.Series(CONTENT, keys))

    return by_content


def _row(plan: Plan, source_rows: pl.DataFrame, i: int) -> pl.DataFrame:
    """The rows of ours that the `i`th entry makes of rows of the source, with the numbers of those."""
    mine = {f"{i}.{name}": name for name in plan.rows[i]}
    shared = [name for name in source_rows.columns if "." not in name or name.startswith(CARRIED)]
    rows = source_rows.select(pl.col(list(mine)).name.map(mine.__getitem__), *shared)
    if KEEP in rows.columns:
        rows = rows.filter(pl.col(KEEP)).drop(KEEP)
    if plan.spec.key is None:
        return rows
    nth = pl.lit(f"_{i + 1}" if i else "")
    keys = generated_keys(plan.table, plan.spec)
    return rows.with_columns((pl.col(CONTENT) + nth).alias(name) for name in keys).drop(CONTENT)


def _by_file(batch: pl.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
    if FILE not in batch.columns:
        yield from [(None, batch)] if batch.height else []
        return
    for (file,), file_rows in batch.group_by(FILE, maintain_order=True):
        yield file, file_rows.drop(FILE)


def _part(plan: Plan, source_rows: pl.DataFrame, now: dt.datetime, file: str | None) -> Part:
    source_rows = source_rows.with_columns(_without_nulls(plan.reading))
    beyond = {
        name: cells
        for name in source_rows.columns
        if (cells := beyond_years(source_rows.get_column(name))).any()
    }
    source_rows = source_rows.with_columns(
        pl.when(~cells).then(pl.col(name)).alias(name) for name, cells in beyond.items()
    )
    bad = [(name.removeprefix(CARRIED), cells, BEYOND) for name, cells in beyond.items()]
    bad += [(cells.name.removeprefix(CARRIED), cells, TOO_LONG) for cells in _long(source_rows)]
    filled = [source_rows.get_column(ROW).cast(pl.Int64)]
    for c in columns(TABLES[plan.table]):
        if c.name in source_rows.columns:
            how = plan.spec.columns.get(c.name, attributes.AS_IT_IS)
            done = cast(source_rows.get_column(c.name), c.dtype, how, plan.reading)
            bad.append((c.name, done.bad, done.rule))
            filled.append(key(done.values) if c.role == "id" and c.dtype == pl.String else done.values)
        elif c.name == attributes.COLUMN and (plan.spec.attributes or plan.carried):
            carried = {CARRIED + name: name for name in plan.carried}
            collected = attributes.collect(source_rows, plan.spec.attributes, carried, plan.reading)
            bad += collected.bad
            filled.append(collected.documents)
        else:
            default = {"ingestion_timestamp": now, "data_source": plan.mapping.source}.get(c.name)
            filled.append(pl.Series(c.name, [default] * source_rows.height, dtype=c.dtype))
    if omop.REFUSE in source_rows.columns:
        reasons = source_rows.get_column(omop.REFUSE)
        made_of = omop.REFUSED[plan.table]
        bad += [(made_of, (reasons == r).fill_null(value=False), r) for r in reasons.drop_nulls().unique()]
    frame = pl.DataFrame(filled)
    refused, broken = _refused(frame.get_column(key_of(TABLES[plan.table])), source_rows, bad)
    return Part(frame.filter(~broken), refused, file)


def _long(source_rows: pl.DataFrame) -> pl.DataFrame:
    """Which texts are longer than a CSV record may be, of columns that have such."""
    longer = source_rows.select(pl.selectors.string().str.len_bytes() > LONGEST_LINE).fill_null(value=False)
    return longer.select(cells for cells in longer if cells.any())


def _refused(
    keys: pl.Series, source_rows: pl.DataFrame, bad: list[tuple[str, pl.Series, str]]
) -> tuple[pl.DataFrame | None, pl.Series]:
    """The rows with a bad cell, each with its first, and which they are."""
    broken = pl.repeat(False, source_rows.height, eager=True)
    refused = []
    for name, cells, rule in bad:
        first = cells & ~broken
        broken |= cells
        rows = source_rows.filter(first)
        if rows.is_empty():
            continue
        texts = [written(cells) for cells in rows.drop(ROW)]
        content = pl.DataFrame(texts).to_struct().struct.json_encode()
        refused.append(
            pl.DataFrame(
                {
                    "row_number": rows.get_column(ROW).cast(pl.Int64), "key": keys.filter(first),
                    "column_name": name,
                    "rule": "too_long" if rule == TOO_LONG else "wrong_type", "reason": rule,
                    "content": content,
                },
                schema=REJECTED_SCHEMA,
            )
        )  # fmt: skip
    return (pl.concat(refused).sort("row_number") if refused else None), broken


def _without_nulls(reading: Reading) -> list[pl.Expr]:
    """Cells that the mapping calls empty; in a CSV they are so already."""
    if not reading.nulls:
        return []
    text = pl.selectors.string()
    emptied = [pl.when(~text.is_in(list(reading.nulls))).then(text).name.keep()]
    return [*emptied, pl.selectors.float().fill_nan(None)] if "NaN" in reading.nulls else emptied
