"""Draft how a source can be loaded from its columns: names, types and how well a sample of their values fits.

What is suggested for a column of ours fits it in the sample; `drafts` writes it down.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from e2i_assets.contracts.base import column_of, columns, key_of
from e2i_assets.contracts.rules import row_rules
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.contracts.undeclared import is_row_number
from e2i_assets.contracts.variables import Column
from e2i_assets.ingest.aliases import ALIASES, WORDS
from e2i_assets.ingest.attributes import AS_IT_IS
from e2i_assets.ingest.casting import Cast, cast
from e2i_assets.ingest.csv_files import FILE, quoted
from e2i_assets.ingest.errors import SourceError
from e2i_assets.ingest.guesses import FITS, as_written, guessed, identifies
from e2i_assets.ingest.mapping import Reading, TableMapping
from e2i_assets.ingest.opening import Opened, Source

SAMPLE = 10_000
"""Rows from which a column is judged."""
ALIKE = 0.85
"""Similarity (difflib) from which a name counts as a spelling of another."""
TODO = "TODO"
NOW = "NOW"
"""Stands for the day of the draft."""

PARTITION = ("brand", "indication")
"""Columns of ours that no column of a source fills: a draft names its partition."""
BY_THE_LOAD = (*PARTITION, "data_source", "ingestion_timestamp", "clinical_attributes")


@dataclass(frozen=True)
class Suggested:
    """How one column of ours could be filled.

    Attributes:
        target: our column.
        source: the source's column; None where there is none.
        expression: what fills our column.
        values: a value map, of words that this module knows.
        note: what was seen, for a person.
        fits: whether the sample's cells can be loaded so; what does not is written down as a remark.
    """

    target: str
    source: str | None
    expression: str
    values: dict[str, str]
    note: str
    fits: bool = True


@dataclass(frozen=True)
class SuggestedTable:
    """How a table of ours could be filled from one of the source.

    Attributes:
        name: the source's table or file.
        place: `file` or `table`, and its name; None where the source is one file.
        key: how its keys are generated, where the source has none.
        several: whether the source has several rows of a patient.
        carried: the columns left over, with what they hold (a key of `attributes.DTYPES`).
        distinct: how many values each of them has.
        left_out: row numbers that pandas or R wrote beside the table.
    """

    table: str
    name: str
    place: tuple[str, str] | None
    reading: Reading
    key: str | None
    several: bool
    columns: tuple[Suggested, ...]
    carried: dict[str, str]
    distinct: dict[str, int]
    left_out: tuple[str, ...]

    @property
    def matched(self) -> int:
        """Columns for which the source has one."""
        return sum(column.source is not None and column.fits for column in self.columns)


def tables(source: Source, prefix: str) -> tuple[tuple[SuggestedTable, ...], list[str]]:
    """How tables of ours could be filled, and the names of the source's tables that are left.

    Args:
        prefix: how generated keys begin.

    Raises:
        SourceError: the source cannot be read, or nothing in it looks like a table of ours.
    """
    specs = source.tables()
    best: dict[str, SuggestedTable] = {}
    for name, spec in specs.items():
        judged = _judged(source, name, spec, prefix, alone=len(specs) == 1)
        if judged and (judged.table not in best or best[judged.table].matched < judged.matched):
            best[judged.table] = judged
    if "patient_journeys" not in best:
        raise SourceError(
            f"{source.name}: nothing of it looks like a table of ours with patients (a patient's identifier "
            "and one more column); write the mapping by hand"
        )
    if best["patient_journeys"].key is not None:
        # A key that is generated for a journey cannot be known of its events.
        best = {table: one for table, one in best.items() if table in ("patient_journeys", "hcp_profiles")}
    chosen = tuple(_without_strangers(best[table], best) for table in RAW_TABLES if table in best)
    used = {one.name for one in chosen}
    return chosen, [name for name in specs if name not in used]


def _without_strangers(one: SuggestedTable, best: dict[str, SuggestedTable]) -> SuggestedTable:
    """References only to tables that the draft fills."""
    lines, strangers = [], {}
    for line in one.columns:
        parent = (column_of(TABLES[one.table], line.target).references or "").split(".")[0]
        if line.source is not None and parent and parent not in best:
            note = f"{line.note}; {TODO}: {parent} is not in the source"
            lines.append(replace(line, fits=False, note=note))
            strangers[line.source] = "string"
        else:
            lines.append(line)
    carried = {**one.carried, **strangers} if one.table == "patient_journeys" else {}
    return replace(one, columns=tuple(lines), carried=carried)


def _judged(
    source: Source, name: str, spec: TableMapping, prefix: str, *, alone: bool
) -> SuggestedTable | None:
    """The table of ours that a table of the source looks most like; of patients when it stands alone."""
    opened, reading = _opened(source, name, spec)
    names = [column for column in opened.columns() if _plain(column)]
    sample = opened.connection.cursor().table(opened.view).limit(SAMPLE).pl()
    matched = {table: _matches(table, names) for table in RAW_TABLES}
    usable = {table: m for table, m in matched.items() if _usable(table, m, name, opened)}
    scores = {table: len(m) + 2 * (table in _plain(name)) for table, m in usable.items()}
    table = max(scores, key=lambda t: scores[t], default="patient_journeys" if alone else None)
    if table is None:
        return None
    if table == "patient_journeys" and "patient_id" not in matched[table]:
        matched[table] |= identifies(sample, [n for n in names if n not in matched[table].values()])
    guess = guessed(table, matched[table], sample, reading)
    if guess != reading:
        opened = source.open(f"suggest {name} as read", spec, guess, most=SAMPLE)
        sample = opened.connection.cursor().table(opened.view).limit(SAMPLE).pl()
    several = _repeats(opened, matched[table].get("patient_id"))
    lines = _lines(table, matched[table], sample, guess)
    key = _key(table, lines, several=several, lines=FILE in sample.columns)
    lines += [line for c in columns(TABLES[table]) for line in _unmatched(table, c, lines, key, prefix)]
    order = [c.name for c in columns(TABLES[table])]
    lines.sort(key=lambda line: order.index(line.target))
    used = {line.source for line in lines if line.fits}
    left = [n for n in names if n not in used] if table == "patient_journeys" else []
    left_out = tuple(n for n in left if is_row_number(sample.get_column(n)))
    carried = [n for n in left if n not in left_out]
    place = ("table", spec.table) if spec.table else ("file", spec.file) if spec.file else None
    distinct = {n: sample.get_column(n).drop_nulls().n_unique() for n in carried}
    holds = {n: _holds(sample, n) for n in carried}
    return SuggestedTable(table, name, place, guess, key, several, tuple(lines), holds, distinct, left_out)


def _usable(table: str, matched: dict[str, str], name: str, opened: Opened) -> bool:
    """Whether the match names who it is about and something else, and all that a row of the table is.

    A wide table with a date and a column `event` is about patients: events have a date, and an identifier of
    their own or several of a patient.
    """
    contract = TABLES[table].to_schema().columns
    who = "patient_id" if "patient_id" in contract else key_of(TABLES[table])
    if len(matched) < 2 or who not in matched:
        return False
    if table in ("patient_journeys", "hcp_profiles"):
        return True
    needed = {c.name for c in columns(TABLES[table]) if c.role == "time" and not c.nullable}
    own = key_of(TABLES[table]) in matched or table in _plain(name)
    return needed <= set(matched) and (own or _repeats(opened, matched.get("patient_id")))


def _repeats(opened: Opened, column: str | None) -> bool:
    """Whether a value of a column comes several times."""
    if column is None:
        return False
    x = quoted(column)
    asked = f"SELECT count({x}) > count(DISTINCT {x}) FROM {quoted(opened.view)}"
    return bool(opened.connection.cursor().execute(asked).fetchall()[0][0])


def _key(table: str, suggested: list[Suggested], *, several: bool, lines: bool) -> str | None:
    """How keys are generated, where neither a column nor the patient makes one."""
    fits = {line.target for line in suggested if line.fits}
    own = key_of(TABLES[table])
    if own in fits or (table == "patient_journeys" and "patient_id" in fits and not several):
        return None
    return "line" if lines else "content"


def _opened(source: Source, name: str, spec: TableMapping) -> tuple[Opened, Reading]:
    try:
        return source.open(f"suggest {name}", spec, Reading(), most=SAMPLE), Reading()
    except SourceError as error:
        signs = {"is UTF-16": "utf-16", "not UTF-8": "cp1252"}
        guess = next((encoding for sign, encoding in signs.items() if sign in str(error)), None)
        if guess is None:
            raise
        reading = Reading(encoding=guess)
        return source.open(f"suggest {name} in {guess}", spec, reading, most=SAMPLE), reading


def _matches(table: str, source_names: list[str]) -> dict[str, str]:
    """Our column to the source's: the same name first, then one that others give it, then a misspelling."""
    free = {_plain(name): name for name in source_names}
    matches: dict[str, str] = {}
    wanted = [c.name for c in columns(TABLES[table]) if c.name not in BY_THE_LOAD]
    for names in ((lambda c: (c,)), (lambda c: ALIASES.get(c, ()))):
        for column in wanted:
            hit = next((n for n in names(column) if n in free), None)
            if column not in matches and hit is not None:
                matches[column] = free.pop(hit)
    for column in wanted:
        close = difflib.get_close_matches(column, list(free), n=1, cutoff=ALIKE)
        if column not in matches and close:
            matches[column] = free.pop(close[0])
    return matches


def _plain(name: str) -> str:
    """`DateOfBirth`, `date-of-birth` and `DATE OF BIRTH` are one name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _holds(sample: pl.DataFrame, name: str) -> str:
    """What a column holds, as a key of `attributes.DTYPES`; numbers that are spelt in two ways are codes."""
    cells = sample.get_column(name)
    if cells.dtype.is_integer():
        return "integer"
    if cells.dtype.is_float() or cells.dtype.is_decimal():
        return "number" if cells.n_unique() == as_written(sample, name).n_unique() else "string"
    return {pl.Boolean: "boolean", pl.Date: "date"}.get(cells.dtype.base_type(), "string")


def _lines(table: str, matched: dict[str, str], sample: pl.DataFrame, reading: Reading) -> list[Suggested]:
    """What fills the columns for which the source has one; together they leave out few rows."""
    lines, casts = {}, {}
    for c in columns(TABLES[table]):
        if c.name in matched:
            lines[c.name], casts[c.name] = _line(table, c, matched[c.name], sample, reading)
    fitting = {name: done for name, done in casts.items() if lines[name].fits}
    while fitting:
        broken = {name: done.bad for name, done in fitting.items()}
        values = pl.DataFrame([done.values.alias(name) for name, done in fitting.items()])
        for rule in row_rules(table):
            if len(rule.needs) > 1 and set(rule.needs) <= set(fitting):
                against = values.select(rule.broken.fill_null(value=False).alias("x")).to_series()
                broken[rule.needs[-1]] = broken[rule.needs[-1]] | against
        if pl.DataFrame(broken).select(pl.any_horizontal(pl.all()).mean()).item() <= 1 - FITS:
            break
        worst = max(broken, key=lambda name: int(broken[name].sum()))
        note = (
            f"{lines[worst].note}; {TODO}: {int(broken[worst].sum())} rows of the sample cannot be loaded so"
        )
        lines[worst] = replace(lines[worst], fits=False, note=note)
        fitting.pop(worst)
    return list(lines.values())


def _line(table: str, c: Column, name: str, sample: pl.DataFrame, reading: Reading) -> tuple[Suggested, Cast]:
    cells = as_written(sample, name)
    seen = f"{cells.dtype}, {cells.null_count() / max(len(cells), 1):.0%} empty, {cells.n_unique()} distinct"
    values, unknown = _value_map(c, cells) if c.allowed else ({}, 0)
    how = AS_IT_IS.model_copy(update={"values": values}) if values else AS_IT_IS
    done = cast(cells, c.dtype, how, reading)
    frame = pl.DataFrame({c.name: done.values})
    bad = done.bad
    for rule in row_rules(table):
        if rule.needs == (c.name,):
            bad = bad | frame.select(rule.broken.fill_null(value=False).alias("x")).to_series()
    expected = max(len(cells) - (cells.null_count() if c.nullable else 0), 1)
    share = 1 - int(bad.sum()) / expected
    fits = share >= FITS and cells.null_count() < len(cells)
    if unknown:
        seen += (
            f"; {TODO}: `values:` must say what {unknown} of its values are ({', '.join(c.allowed or ())})"
        )
    elif share < FITS:
        seen += f"; {TODO}: only {share:.0%} are {_kind(c)}{_hint(c)}"
    if c.unit:
        seen += f"; ours is in {c.unit}"
    return Suggested(c.name, name, identifier(name), values, seen, fits), Cast(done.values, bad, done.rule)


def _kind(c: Column) -> str:
    """What the cells of a column are, for a person."""
    names = {pl.Int64: "whole numbers", pl.Float64: "numbers", pl.Boolean: "true or false", pl.Date: "days"}
    return names.get(c.dtype.base_type(), "times with a zone")


def _hint(c: Column) -> str:
    if c.dtype == pl.Date:
        return ", say `read: {date_format: …}`"
    if isinstance(c.dtype, pl.Datetime):
        return ", say `read: {time_zone: …}`"
    return ""


OBSERVED = ("first_observation_date", "last_observation_date")
"""May be empty, and is needed wherever a cohort asks for lookback or follow-up."""


def _unmatched(
    table: str, c: Column, suggested: list[Suggested], key: str | None, prefix: str
) -> Iterator[Suggested]:
    """What stands for a column that must not be empty and that no column of the source fills."""
    fits = {line.target: line.expression for line in suggested if line.fits}
    if c.nullable or c.name in fits or c.name in BY_THE_LOAD or (key and c.name == key_of(TABLES[table])):
        return
    if c.name == "patient_journey_id" and "patient_id" in fits:
        note = "one journey for each patient" if table == "patient_journeys" else "the patient's"
        yield Suggested(c.name, None, f"'{prefix}' || {fits['patient_id']}", {}, note)
    elif c.name == "patient_id" and key is not None:
        return
    elif c.allowed:
        yield Suggested(c.name, None, f"'{c.allowed[0]}'", {}, f"{TODO}: {c.description}")
    elif isinstance(c.dtype, pl.Datetime):
        yield Suggested(c.name, None, NOW, {}, f"{TODO}: {c.description}; this is the day of the draft")
    else:
        yield Suggested(
            c.name, None, f"'{TODO}'" if c.dtype == pl.String else "NULL", {}, f"{TODO}: {c.description}"
        )


def _value_map(c: Column, cells: pl.Series) -> tuple[dict[str, str], int]:
    """A map of spellings that this module knows, if one is needed, and how many values it does not know."""
    spellings = {**WORDS.get(c.name, {}), **{value.lower(): value for value in c.allowed or ()}}
    distinct = set(cells.cast(pl.String, strict=False).drop_nulls().unique())
    if distinct <= set(c.allowed or ()):
        return {}, 0
    value_map = {value: spellings[value.lower()] for value in sorted(distinct) if value.lower() in spellings}
    return value_map, len(distinct) - len(value_map)


def identifier(name: str) -> str:
    """A column in an expression."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else quoted(name)
