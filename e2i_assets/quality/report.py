"""The quality report: three layers over the raw extracts of one partition, one verdict, a certificate.

The report names the raw versions that it judged; what it approves is those and no others. The same data,
versions and settings give the same report: nothing in it comes from a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from e2i_assets.contracts.tables import TABLES
from e2i_assets.quality.config import DIMENSIONS, AttributeLike, QualityConfig
from e2i_assets.quality.dimensions import TableQuality, Weakness, grade_table, overall, weighted_score
from e2i_assets.quality.expectations import SuiteResult, run_suites
from e2i_assets.quality.relations import JOURNEYS
from e2i_assets.quality.render import html, markdown
from e2i_assets.quality.schema import SchemaResult, check_schema

Reason = Literal[
    "missing_table", "unknown_table", "empty_table", "schema", "dimension", "score", "suite", "suite_error"
]


@dataclass(frozen=True)
class Blocker:
    """One reason why the data may not be used, and what to do about it."""

    reason: Reason
    table: str
    rule: str
    message: str


@dataclass(frozen=True)
class QCReport:
    """The verdict on one partition's raw extracts, with everything it rests on.

    Attributes:
        status: `failed` with any blocker; `warning` when something is below its threshold, broken or empty
            without blocking; else `passed`.
        score: the guide's weighted score, 0 to 1.
        dimensions: each dimension over all tables; None where no table could be graded.
        lowest_dimension: the dimension with the lowest grade.
        fix_first: one sentence, the most useful next step.
        raw_versions: table to data version, as given by the caller.
    """

    status: Literal["passed", "warning", "failed"]
    score: float
    score_threshold: float
    dimensions: dict[str, float | None]
    tables: tuple[TableQuality, ...]
    schema: tuple[SchemaResult, ...]
    suites: tuple[SuiteResult, ...]
    lowest_dimension: str
    fix_first: str
    blockers: tuple[Blocker, ...]
    warnings: tuple[str, ...]
    table_rows: dict[str, int]
    raw_versions: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether the data may be used."""
        return not self.blockers

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            **asdict(self),
            "tables": [t.to_dict() for t in self.tables],
            "schema": [s.to_dict() for s in self.schema],
            "suites": [s.to_dict() for s in self.suites],
            "blockers": [asdict(b) for b in self.blockers],
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> QCReport:
        """Inverse of `to_dict`."""
        return cls(
            **{
                **stored,
                "tables": tuple(TableQuality.from_dict(t) for t in stored["tables"]),
                "schema": tuple(SchemaResult.from_dict(s) for s in stored["schema"]),
                "suites": tuple(SuiteResult.from_dict(s) for s in stored["suites"]),
                "blockers": tuple(Blocker(**b) for b in stored["blockers"]),
                "warnings": tuple(stored["warnings"]),
            }
        )

    def to_markdown(self) -> str:
        """Tables for Dagit: verdict, grades, blockers, suites."""
        return markdown(self)

    def to_html(self) -> str:
        """The same as one self-contained page."""
        return html(self)


def build_qc_report(
    tables: Mapping[str, pl.DataFrame],
    *,
    attributes: Mapping[str, AttributeLike],
    raw_versions: Mapping[str, str],
    config: QualityConfig,
    required: Collection[str] = tuple(TABLES),
    not_collected: Collection[str] = (),
) -> QCReport:
    """Judge the raw extracts of one partition.

    Args:
        tables: table name to extract, all seven; patient_journeys with its attributes as columns.
        attributes: the programme's declared clinical attributes, columns of patient_journeys.
        raw_versions: table to data version of the extracts given.
        required: tables that block when they are empty; the others only warn.
        not_collected: columns of patient_journeys that the programme's sources do not have.

    What is wrong with the data is in the report; only a mistake in the program raises.
    """
    known = {name: tables[name] for name in TABLES if name in tables}
    declared = {name: dict(attributes) if name == JOURNEYS else {} for name in known}
    schema = tuple(check_schema(n, f, extra=declared[n], tables=known) for n, f in known.items())
    graded = tuple(grade_table(n, known, config, declared[n], not_collected) for n in known)
    grades = overall(graded)
    score = weighted_score(grades, config)
    suites = run_suites(config.suites, known, config.suite_status)
    blockers = (
        *_table_blockers(tables, required),
        *_schema_blockers(schema),
        *_dimension_blockers(graded, config),
        *_score_blockers(score, config),
        *_suite_blockers(suites, required),
    )
    warnings = tuple(_warnings(known, graded, grades, suites, config))
    lowest = min(DIMENSIONS, key=lambda d: grades[d] or 0.0)
    return QCReport(
        status="failed" if blockers else "warning" if warnings else "passed",
        score=score,
        score_threshold=config.block_below_score,
        dimensions=grades,
        tables=graded,
        schema=schema,
        suites=suites,
        lowest_dimension=lowest,
        fix_first=_fix_first(blockers, graded, grades, lowest),
        blockers=blockers,
        warnings=warnings,
        table_rows={name: frame.height for name, frame in known.items()},
        raw_versions=dict(raw_versions),
    )


def _table_blockers(tables: Mapping[str, pl.DataFrame], required: Collection[str]) -> Iterator[Blocker]:
    for name in TABLES:
        if name not in tables:
            yield Blocker("missing_table", name, "exists", f"{name}: no extract given; extract it again")
        elif not tables[name].height and name in required:
            yield Blocker("empty_table", name, "rows", f"{name}: 0 rows; load data for this programme")
    for name in sorted(set(tables) - set(TABLES)):
        yield Blocker("unknown_table", name, "contract", f"{name}: no contract for this table; add one")


def _schema_blockers(schema: tuple[SchemaResult, ...]) -> Iterator[Blocker]:
    for result in schema:
        for f in result.failures:
            message = (
                f"{result.table}.{f.column}: rule {f.rule} broken in {f.count} of {result.rows} rows; "
                "correct the source and load again"
            )
            yield Blocker("schema", result.table, f"{f.column}:{f.rule}", message)


def _dimension_blockers(graded: tuple[TableQuality, ...], config: QualityConfig) -> Iterator[Blocker]:
    for table in graded:
        for name in DIMENSIONS:
            grade, floor = table.scores[name], config.dimensions[name].block_below
            if grade is not None and grade < floor:
                weak = next((w for w in table.weaknesses if w.dimension == name), None)
                cause = f"; start with {_described(weak)}" if weak else ""
                message = f"{table.table}: {name} {grade:.3f} is below {floor:.2f}{cause}"
                yield Blocker("dimension", table.table, name, message)


def _score_blockers(score: float, config: QualityConfig) -> Iterator[Blocker]:
    if not score >= config.block_below_score:
        message = f"score {score:.3f} is below {config.block_below_score:.2f}; fix the lowest dimension first"
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


def _fix_first(
    blockers: tuple[Blocker, ...],
    graded: tuple[TableQuality, ...],
    grades: Mapping[str, float | None],
    lowest: str,
) -> str:
    if blockers:
        return f"Fix first: {blockers[0].message}."
    weak = [w for t in graded for w in t.weaknesses if w.dimension == lowest]
    if not weak:
        return "Nothing to fix: no dimension loses a point."
    worst = max(weak, key=lambda w: w.count)
    return f"Lowest is {lowest} ({grades[lowest] or 0.0:.3f}): start with {_described(worst)}."


def _described(weak: Weakness) -> str:
    return f"{weak.table}, {weak.what} ({weak.count} of {weak.of})"
