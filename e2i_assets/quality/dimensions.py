"""Layer 2: how good is a table, graded 0 to 1 on five dimensions (guide, "Quality Dimension Scoring").

| dimension | share of … that are good |
|---|---|
| completeness | cells the contract wants: filled |
| validity | filled cells: of the right type, finite, in range, in the closed set |
| consistency | rows: every rule between columns and tables holds |
| uniqueness | rows: no second row with the same key, or with the same content under another key |
| timeliness | rows: arrived within the allowed days of their record at the source; none if that is all old |

What a dimension cannot judge (a table without arrival times) is None and left out of means; it is never 1.
A partition without `refresh` is not asked for timeliness, and its score is that of the other four.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.rules import row_rules
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import Attribute
from e2i_assets.quality.config import DIMENSIONS, DimensionName, QualityConfig
from e2i_assets.quality.freshness import Freshness, judge_freshness
from e2i_assets.quality.relations import judge_rows
from e2i_assets.quality.schema import extraction_columns, wrong_attribute_type, wrong_type

_NOT_WANTED = ("post_outcome",)  # empty is their meaning: no days to a treatment that never began
_WORST = 5  # entries kept per table and dimension, for "what to fix first"


@dataclass(frozen=True)
class Weakness:
    """A column or rule that costs a table points: `count` bad cells or rows out of `of`."""

    dimension: str
    table: str
    what: str
    count: int
    of: int


@dataclass(frozen=True)
class TableQuality:
    """The five grades of one table (None: does not apply) and what costs it most, worst first.

    `freshness` is what timeliness was graded on; None where it was not graded.
    """

    table: str
    rows: int
    scores: dict[str, float | None]
    weaknesses: tuple[Weakness, ...]
    freshness: Freshness | None = None


@dataclass(frozen=True)
class _Tally:
    """Bad out of judged, in all and per column or rule."""

    bad: int
    judged: int
    parts: tuple[tuple[str, int, int], ...] = ()

    @property
    def score(self) -> float | None:
        return 1 - self.bad / self.judged if self.judged else None


def grade_table(
    name: str,
    tables: Mapping[str, pl.DataFrame],
    config: QualityConfig,
    attributes: Mapping[str, Attribute] | None = None,
    not_collected: Collection[str] = (),
    *,
    stale: bool = False,
) -> TableQuality:
    """Grade one table of a partition; every grade of an empty table is None.

    Args:
        not_collected: columns of the table that cannot be incomplete, since nobody collects them.
        stale: whether its newest record is too old (`freshness.is_stale`).
    """
    frame, declared = tables[name], attributes or {}
    days = config.max_staleness_days
    fresh = judge_freshness(name, frame, days, stale=stale) if "timeliness" in config.asked else None
    tallies: dict[DimensionName, _Tally] = {
        "completeness": _completeness(name, frame, declared, not_collected),
        "validity": _validity(name, frame, declared),
        "consistency": _consistency(name, frame, tables),
        "uniqueness": _uniqueness(name, frame),
        "timeliness": _timeliness(fresh, frame.height, days),
    }
    weak = [w for dimension, tally in tallies.items() for w in _weaknesses(dimension, name, tally)]
    return TableQuality(name, frame.height, {d: tallies[d].score for d in DIMENSIONS}, tuple(weak), fresh)


def overall(tables: Sequence[TableQuality]) -> dict[str, float | None]:
    """Each dimension over all tables: the mean of the tables' grades, weighted by rows.

    Every row counts the same, so the figure reads as "share of what was loaded". A small broken table can
    hide in such a mean; the per-table floors (`block_below`) are what catches it.
    """
    means: dict[str, float | None] = {}
    for d in DIMENSIONS:
        graded = [(g, t.rows) for t in tables if (g := t.scores[d]) is not None]
        rows = sum(n for _, n in graded)
        means[d] = sum(g * n for g, n in graded) / rows if rows else None
    return means


def weighted_score(grades: Mapping[str, float | None], config: QualityConfig) -> float:
    """The guide's score: sum of weight times grade, over the weights of the dimensions that are asked for.

    A dimension that nothing could be graded on adds 0.
    """
    weights = {d: config.dimensions[d].weight for d in config.asked}
    total = sum(weights.values())
    return sum(weight * (grades[d] or 0.0) for d, weight in weights.items()) / total if total else 0.0


def _weaknesses(dimension: str, table: str, tally: _Tally) -> list[Weakness]:
    worst = sorted((p for p in tally.parts if p[1]), key=lambda p: (-p[1], p[0]))[:_WORST]
    return [Weakness(dimension, table, what, count, of) for what, count, of in worst]


def _summed(parts: list[tuple[str, int, int]]) -> _Tally:
    return _Tally(sum(p[1] for p in parts), sum(p[2] for p in parts), tuple(parts))


def _completeness(
    name: str,
    frame: pl.DataFrame,
    attributes: Mapping[str, Attribute],
    absent: Collection[str],
) -> _Tally:
    described = extraction_columns(name)
    wanted = {c.name: c.wanted_when for c in described if c.role not in _NOT_WANTED and c.name not in absent}
    wanted |= {a: None for a, declared in attributes.items() if declared.role not in _NOT_WANTED}
    return _summed([_missing_cells(frame, c, condition) for c, condition in wanted.items()])


def _missing_cells(frame: pl.DataFrame, name: str, condition: str | None) -> tuple[str, int, int]:
    fillable = frame
    if condition and set(pl.sql_expr(condition).meta.root_names()) <= set(frame.columns):
        fillable = frame.filter(pl.sql_expr(condition))
    empty = fillable[name].null_count() if name in frame.columns else fillable.height
    return name, empty, fillable.height


def _validity(name: str, frame: pl.DataFrame, attributes: Mapping[str, Attribute]) -> _Tally:
    wrong = {c.name for c in extraction_columns(name) if wrong_type(frame, c)}
    wrong |= {
        a
        for a, declared in attributes.items()
        if a in frame.columns and wrong_attribute_type(frame, a, declared)
    }
    judged = [*(c.name for c in extraction_columns(name)), *attributes]
    present = [c for c in dict.fromkeys(judged) if c in frame.columns]
    counted = frame.select(
        (pl.col(c).is_not_null() if c in wrong else _invalid(name, frame, c)).sum().alias(c) for c in present
    )
    return _summed([(c, int(counted[c][0]), frame[c].count()) for c in present])


def _invalid(table: str, frame: pl.DataFrame, column: str) -> pl.Expr:
    """Whether a filled cell breaks a rule of the contract; an attribute's rule is to be finite."""
    broken = [rule.broken for rule in row_rules(table) if rule.column == column and rule.name != "null"]
    if not broken and frame.schema[column].is_float():
        broken = [~pl.col(column).is_finite()]
    return reduce(or_, broken, pl.lit(False))


def _consistency(name: str, frame: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> _Tally:
    outcomes = judge_rows(name, frame, tables)
    if not outcomes:
        return _Tally(0, 0)
    broken = reduce(or_, (o.broken for o in outcomes))
    parts = tuple((f"{o.rule} ({o.column})", int(o.broken.sum()), frame.height) for o in outcomes)
    return _Tally(int(broken.sum()), frame.height, parts)


def _uniqueness(name: str, frame: pl.DataFrame) -> _Tally:
    """The worst of: a unique column taken twice, or a row that is there again under another key.

    Audit columns do not tell rows apart: the same record that arrived twice differs in nothing else. One row
    alone says nothing.
    """
    if frame.height < 2:
        return _Tally(0, 0)
    unique = [c.name for c in columns(TABLES[name]) if c.unique and c.name in frame.columns]
    parts = [(c, _surplus(frame.select(c).drop_nulls()), frame.height) for c in unique]
    content = [
        c.name
        for c in extraction_columns(name)
        if not c.key and c.role != "audit" and c.name in frame.columns
    ]
    extra = [c for c in frame.columns if c not in {d.name for d in columns(TABLES[name])}]
    if content:
        parts.append(
            ("same content under another key", _surplus(frame.select(content + extra)), frame.height)
        )
    return _Tally(max((p[1] for p in parts), default=0), frame.height, tuple(parts))


def _surplus(frame: pl.DataFrame) -> int:
    return frame.height - frame.n_unique()


def _timeliness(fresh: Freshness | None, rows: int, max_days: int) -> _Tally:
    """The worse of two: the newest record is stale, which no row makes up for; rows that arrived late."""
    if fresh is None:
        return _Tally(0, 0)
    parts = (
        (f"not within {max_days} days of its source", fresh.late, rows),
        (f"newest record older than {max_days} days, or from the future", rows if fresh.stale else 0, rows),
    )
    return _Tally(max(bad for _, bad, _ in parts), rows, parts)
