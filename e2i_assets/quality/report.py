"""The quality report: three layers over the raw extracts of one partition, one verdict, a certificate.

The report names the raw versions that it judged; what it approves is those and no others. The same data,
versions, settings and stale tables give the same report: nothing else in it comes from a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.contracts.undeclared import how_to_date, how_to_declare
from e2i_assets.contracts.variables import FEATURE_ROLES, Attribute
from e2i_assets.json_files import from_json, read_json, to_json, write_json
from e2i_assets.quality.config import DIMENSIONS, QualityConfig
from e2i_assets.quality.datadocs import FOLDER
from e2i_assets.quality.dimensions import TableQuality, Weakness, grade_table, overall, weighted_score
from e2i_assets.quality.expectations import run_suites
from e2i_assets.quality.findings import UNUSABLE, Blocker, QCFindings
from e2i_assets.quality.plausibility import Contradiction, LifeDates, contradictions
from e2i_assets.quality.relations import JOURNEYS
from e2i_assets.quality.render import data_docs_index, html, markdown
from e2i_assets.quality.schema import SchemaResult, check_schema, extraction_columns
from e2i_assets.quality.suite_result import SuiteResult

_ADVICE: dict[str, str] = {
    "completeness": "fill it at the source, or name it under not_collected in the cohort file",
    "validity": "correct the values at the source to the type and range that the contract states",
    "consistency": "load the rows that are referred to, or correct those that contradict each other",
    "uniqueness": "load each record once, under one key",
    "timeliness": "load newer data, sooner after the source records a row, with both times and their zone; "
    "for data that are complete say refresh: none in the cohort file",
}


@dataclass(frozen=True)
class QCReport(QCFindings):
    """The findings as they are kept and shown."""

    def to_markdown(self) -> str:
        """Tables for Dagit: verdict, grades, blockers, suites."""
        return markdown(self)

    def to_html(self) -> str:
        """The same as one self-contained page, with links to the suites' Data Docs beside it."""
        return html(self)

    def save(self, folder: Path) -> None:
        """record.json, report.html, and in data_docs/ an index and a page for each suite that was run."""
        write_json(folder, "record.json", to_json(self))
        (folder / "report.html").write_text(self.to_html())
        (folder / FOLDER).mkdir()
        (folder / FOLDER / "index.html").write_text(data_docs_index(self))
        for suite in self.suites:
            if suite.page:
                (folder / FOLDER / f"{suite.suite}.html").write_text(suite.page)

    @classmethod
    def load(cls, folder: Path) -> QCReport:
        """Read record.json; the pages stay where they are."""
        return from_json(cls, read_json(folder, "record.json"))


def build_qc_report(
    tables: Mapping[str, pl.DataFrame],
    *,
    attributes: Mapping[str, Attribute],
    raw_versions: Mapping[str, str],
    config: QualityConfig,
    required: Collection[str] = RAW_TABLES,
    not_collected: Mapping[str, Collection[str]] | None = None,
    stale: Collection[str] = (),
    dates: LifeDates | None = None,
) -> QCReport:
    """Judge the raw extracts of one partition.

    Args:
        tables: table name to extract, all of `RAW_TABLES`; patient_journeys with its attributes as columns.
        attributes: the partition's declared clinical attributes, columns of patient_journeys.
        raw_versions: table to data version of the extracts given.
        required: tables that block when they are empty; the others only warn.
        not_collected: columns by table that the partition's sources do not have.
        dates: columns of patient_journeys that are index date, birth and death.
        stale: tables whose newest record is too old on the day of judgement (`freshness.is_stale`).

    What is wrong with the data is in the report; only a mistake in the program raises.
    """
    known = {name: tables[name] for name in RAW_TABLES if name in tables}
    declared = {name: dict(attributes) if name == JOURNEYS else {} for name in known}
    schema = tuple(check_schema(n, f, extra=declared[n], tables=known) for n, f in known.items())
    absent = {n: sorted((not_collected or {}).get(n, ())) for n in known}
    graded = tuple(grade_table(n, known, config, declared[n], absent[n], stale=n in stale) for n in known)
    grades = overall(graded)
    score = weighted_score(grades, config)
    impossible = contradictions(known, dates or LifeDates())
    suites = run_suites(config.suites, known, config.suite_status)
    lowest = min(config.asked, key=lambda d: (grades[d] is not None, grades[d] or 0.0))
    # Of what is not there every other rule would complain as well.
    nothing = tuple(_nothing_loaded(tables, required))
    advice = "" if nothing else _advice(lowest, grades, graded)
    blockers = nothing or (
        *_table_blockers(tables, required, config.minimum_rows),
        *_schema_blockers(schema),
        *_all_null_blockers(known, absent.get(JOURNEYS, ())),
        *(_date_blocker(one) for one in impossible if one.decides),
        *_dimension_blockers(graded, config),
        *_suite_blockers(suites, required),
        *_score_blockers(score, config, advice),
    )
    warnings = (
        *_warnings(known, graded, grades, suites, config),
        *(f"{one}; nobody of them is a member" for one in impossible if not one.decides),
        *_undeclared(known, attributes),
    )
    return QCReport(
        status="failed" if blockers else "warning" if warnings else "passed",
        score=score,
        score_threshold=config.block_below_score,
        dimensions=grades,
        tables=graded,
        schema=schema,
        suites=suites,
        lowest_dimension=lowest,
        fix_first=f"Fix first: {blockers[0].message}. {_where(blockers)}{advice}".strip()
        if blockers
        else advice,
        blockers=blockers,
        warnings=warnings,
        table_rows={name: frame.height for name, frame in known.items()},
        raw_versions=dict(raw_versions),
        agreed=config.agreed,
        not_collected={table: names for table, names in absent.items() if names},
    )


def _nothing_loaded(tables: Mapping[str, pl.DataFrame], required: Collection[str]) -> Iterator[Blocker]:
    if JOURNEYS in required and JOURNEYS in tables and tables[JOURNEYS].is_empty():
        message = f"{JOURNEYS}: 0 rows; load data for this partition (`e2i data import`)"
        yield Blocker("empty_table", JOURNEYS, "rows", message)


def _table_blockers(
    tables: Mapping[str, pl.DataFrame], required: Collection[str], minimum: int
) -> Iterator[Blocker]:
    for name in RAW_TABLES:
        if name not in tables:
            yield Blocker("missing_table", name, "exists", f"{name}: no extract given; extract it again")
        elif not tables[name].height and name in required:
            yield Blocker("empty_table", name, "rows", f"{name}: 0 rows; load data for this partition")
        elif tables[name].height < minimum and name in required:
            few = f"{name}: {tables[name].height} rows, at least {minimum} are needed; load more"
            yield Blocker("too_few_rows", name, "rows", few)
    for name in sorted(set(tables) - set(RAW_TABLES)):
        yield Blocker("unknown_table", name, "contract", f"{name}: no contract for this table; add one")


def _schema_blockers(schema: tuple[SchemaResult, ...]) -> Iterator[Blocker]:
    for result in schema:
        for f in result.failures:
            message = (
                f"{result.table}.{f.column}: rule {f.rule} broken in {f.count} of {result.rows} rows; "
                "correct the source and load again"
            )
            yield Blocker("schema", result.table, f"{f.column}:{f.rule}", message)


def _where(blockers: tuple[Blocker, ...]) -> str:
    rows = any(b.reason in ("schema", "date") and not b.rule.endswith(UNUSABLE) for b in blockers)
    return "`e2i data check` lists the rows. " if rows else ""


def _date_blocker(contradiction: Contradiction) -> Blocker:
    message = f"{contradiction}; correct the source, or leave such rows out of it, and load again"
    return Blocker("date", contradiction.table, f"{contradiction.column}:{contradiction.rule}", message)


def _all_null_blockers(
    tables: Mapping[str, pl.DataFrame], not_collected: Collection[str]
) -> Iterator[Blocker]:
    """Columns of patient_journeys, from which features and outcomes come, that are empty throughout.

    Declared attributes are the schema layer's; what an outcome leaves empty may be empty.
    """
    frame = tables.get(JOURNEYS, pl.DataFrame())
    for c in extraction_columns(JOURNEYS):
        expected = c.name in frame.columns and c.nullable and c.role != "post_outcome"
        if expected and frame.height and c.name not in not_collected and not frame[c.name].count():
            message = f"{JOURNEYS}.{c.name}: no value in {frame.height} rows; {_ADVICE['completeness']}"
            yield Blocker("all_null", JOURNEYS, c.name, message)


def _dimension_blockers(graded: tuple[TableQuality, ...], config: QualityConfig) -> Iterator[Blocker]:
    for table in graded:
        for name in DIMENSIONS:
            grade, floor = table.scores[name], config.dimensions[name].block_below
            if grade is not None and grade < floor:
                weak = next((w for w in table.weaknesses if w.dimension == name), None)
                cause = f"start with {_described(weak)}; " if weak else ""
                message = f"{table.table}: {name} {grade:.3f} is below {floor:.2f}; {cause}{_ADVICE[name]}"
                yield Blocker("dimension", table.table, name, message)


def _score_blockers(score: float, config: QualityConfig, advice: str) -> Iterator[Blocker]:
    if not score >= config.block_below_score:
        message = f"score {score:.3f} is below {config.block_below_score:.2f}; {advice.rstrip('.')}"
        yield Blocker("score", "all tables", "score", message)


def _suite_blockers(suites: tuple[SuiteResult, ...], required: Collection[str]) -> Iterator[Blocker]:
    for s in suites:
        if s.status == "error":
            message = (
                f"suite {s.suite} on {s.table} could not be run: {s.error}; nothing is known of its rules"
            )
            yield Blocker("suite_error", s.table, s.suite, message)
        elif s.status == "empty" and s.table in required:
            yield Blocker("suite", s.table, s.suite, f"suite {s.suite}: {s.table} has no rows to judge")
        elif s.status == "failed":
            broken = ", ".join(f"{f.expectation} ({f.column})" for f in s.failed) or "nothing was evaluated"
            message = f"suite {s.suite} on {s.table}: {s.successful} of {s.evaluated} rules hold; {broken}"
            yield Blocker("suite", s.table, s.suite, message)


def _warnings(
    tables: Mapping[str, pl.DataFrame],
    graded: tuple[TableQuality, ...],
    grades: Mapping[str, float | None],
    suites: tuple[SuiteResult, ...],
    config: QualityConfig,
) -> Iterator[str]:
    yield from (
        f"{name}: no rows; what it feeds is not judged" for name, frame in tables.items() if not frame.height
    )
    everywhere = [("all tables", grades), *((t.table, t.scores) for t in graded)]
    for name in DIMENSIONS:
        bar = config.dimensions[name].threshold
        for where, scores in everywhere:
            if (grade := scores[name]) is not None and grade < bar:
                yield f"{where}: {name} {grade:.3f} is below {bar:.2f}"
    for s in suites:
        yield from (f"suite {s.suite}: {f.expectation} ({f.column}) does not hold" for f in s.failed)
        yield from (f"suite {s.suite}: {rule} has no value to judge" for rule in s.not_evaluated)


def _undeclared(tables: Mapping[str, pl.DataFrame], attributes: Mapping[str, Attribute]) -> Iterator[str]:
    frame = tables.get(JOURNEYS, pl.DataFrame())
    known = {c.name for c in extraction_columns(JOURNEYS)} | attributes.keys()
    yield from (f"{JOURNEYS}.{n}: {how_to_declare(frame[n])}" for n in frame.columns if n not in known)
    undated = (
        name
        for name, a in attributes.items()
        if name in frame.columns and a.role in FEATURE_ROLES and a.dtype != "date" and not a.declared
    )
    yield from (f"{JOURNEYS}.{name}: {how_to_date(name)}" for name in undated)


def _advice(lowest: str, grades: Mapping[str, float | None], graded: tuple[TableQuality, ...]) -> str:
    """Which dimension is lowest, what costs it most, and what to do about that."""
    grade = grades[lowest]
    if grade is None:
        return f"Lowest is {lowest}: no table could be graded on it, so it adds nothing; {_ADVICE[lowest]}."
    weak = [w for t in graded for w in t.weaknesses if w.dimension == lowest]
    if not weak:
        return "Nothing to fix: no dimension loses a point."
    worst = max(weak, key=lambda w: w.count)
    return f"Lowest is {lowest} ({grade:.3f}): start with {_described(worst)}; {_ADVICE[lowest]}."


def _described(weak: Weakness) -> str:
    return f"{weak.table}, {weak.what} ({weak.count} of {weak.of})"
