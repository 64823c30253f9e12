"""The five dimensions of each split: the rows of its journeys, and whether its columns are the others'.

Graded on the raw rows of the split's journeys, so that a figure means the same as in the quality report; of
timeliness only the delay, for the newest record is a matter of the whole table. What is added is the guide's
consistency, "column and dtype matching across splits".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import polars as pl

from e2i_assets.contracts.base import facts_of
from e2i_assets.contracts.tables import RAW_TABLES, TABLES
from e2i_assets.contracts.variables import Attribute
from e2i_assets.errors import E2IError
from e2i_assets.quality.config import DIMENSIONS, QualityConfig
from e2i_assets.quality.dimensions import TableQuality, grade_table, overall, weighted_score
from e2i_assets.quality.freshness import has_zone
from e2i_assets.quality.relations import JOURNEYS

KEY = "patient_journey_id"


@dataclass(frozen=True)
class SplitQuality:
    """How good the data of one split are.

    Attributes:
        rows: journeys of the split.
        score: the guide's weighted score, 0 to 1.
        dimensions: each dimension over the split's rows of all tables; None where nothing could be graded.
        columns_matched: share of columns that every split has in the same dtype; it caps consistency.
        status: `failed` below the blocking score, `warning` when a dimension is below its threshold.
    """

    split: str
    rows: int
    score: float
    dimensions: dict[str, float | None]
    columns_matched: float
    status: Literal["passed", "warning", "failed"]
    tables: tuple[TableQuality, ...]


class UngradedSplit(E2IError, ValueError):
    """The splits cannot be graded; says what is missing."""

    code = "not_graded"
    next_step = "Build features and splits again from the raw versions that the quality report names."


def split_tables() -> list[str]:
    """Tables whose rows belong to single journeys; figures of a brand belong to no split."""
    return [name for name in RAW_TABLES if facts_of(TABLES[name]).partition_by != "brand"]


def grade_splits(
    frames: Mapping[str, pd.DataFrame],
    tables: Mapping[str, pl.DataFrame],
    config: QualityConfig,
    *,
    attributes: Mapping[str, Attribute],
    not_collected: Mapping[str, Collection[str]] | None = None,
) -> tuple[SplitQuality, ...]:
    """Grade each split.

    Args:
        frames: split name to what a model sees, one row per journey with `patient_journey_id`.
        tables: the raw extracts that the frames were made from, at least those of `split_tables`.
        attributes, not_collected: as for `build_qc_report`.

    Raises:
        UngradedSplit: a table or column is missing, times have no zone, a split has too few journeys, or its
            journeys are not those of the extracts.
    """
    if missing := sorted(set(split_tables()) - set(tables)):
        raise UngradedSplit(f"raw tables missing: {', '.join(missing)}")
    for name in split_tables():
        _require_columns(name, tables[name])
    matched = _columns_matched(frames)
    return tuple(
        _grade(name, frame, tables, config, attributes, not_collected or {}, matched)
        for name, frame in frames.items()
    )


def _require_columns(table: str, frame: pl.DataFrame) -> None:
    if (key := _membership(table)) not in frame.columns:
        raise UngradedSplit(f"{table} has no column {key}: its rows cannot be told apart by split")
    facts = facts_of(TABLES[table])
    for time in (facts.event_time, facts.ingestion_time):
        if time and not has_zone(frame, time):
            raise UngradedSplit(f"{table}.{time} is no time with a zone: how late its rows are is unknown")


def _grade(
    split: str,
    frame: pd.DataFrame,
    tables: Mapping[str, pl.DataFrame],
    config: QualityConfig,
    attributes: Mapping[str, Attribute],
    not_collected: Mapping[str, Collection[str]],
    matched: float,
) -> SplitQuality:
    if KEY not in frame.columns:
        raise UngradedSplit(f"split {split} has no column {KEY}")
    if len(frame) < config.minimum_rows:
        raise UngradedSplit(f"split {split} has {len(frame)} journeys; {config.minimum_rows} are needed")
    members = pl.Series(KEY, frame[KEY].tolist(), dtype=pl.String)
    own = {name: rows for name in split_tables() if (rows := _rows(name, tables, members)).height}
    journeys = own[JOURNEYS].height if JOURNEYS in own else 0
    if journeys != len(frame):
        raise UngradedSplit(
            f"split {split} has {len(frame)} journeys, {journeys} of them in patient_journeys"
        )
    declared = {name: attributes if name == JOURNEYS else {} for name in own}
    # References are looked up in the whole tables; only the split's own rows are judged.
    graded = tuple(
        grade_table(name, {**tables, name: rows}, config, declared[name], not_collected.get(name, ()))
        for name, rows in own.items()
    )
    grades = overall(graded)
    if grades["consistency"] is not None:
        grades["consistency"] = min(grades["consistency"], matched)
    score = weighted_score(grades, config)
    weak = any((g := grades[d]) is not None and g < config.dimensions[d].threshold for d in DIMENSIONS)
    good = score >= config.block_below_score
    status: Literal["passed", "warning", "failed"] = "failed" if not good else "warning" if weak else "passed"
    return SplitQuality(split, len(frame), score, grades, matched, status, graded)


def _membership(table: str) -> str:
    return "hcp_id" if facts_of(TABLES[table]).partition_by == "journey_hcp" else KEY


def _rows(table: str, tables: Mapping[str, pl.DataFrame], members: pl.Series) -> pl.DataFrame:
    """The table's rows that belong to the members' journeys, or to the HCPs of those."""
    key = _membership(table)
    wanted = members
    if key != KEY:
        wanted = tables[JOURNEYS].filter(pl.col(KEY).is_in(members.implode())).get_column(key).drop_nulls()
    return tables[table].filter(pl.col(key).is_in(wanted.unique().implode()))


def _columns_matched(frames: Mapping[str, pd.DataFrame]) -> float:
    """Share of all columns that every split has, in the same dtype; 0 when there is none."""
    schemas = [set(frame.dtypes.astype(str).items()) for frame in frames.values()]
    names = {name for schema in schemas for name, _ in schema}
    return len(set.intersection(*schemas)) / len(names) if names else 0.0
