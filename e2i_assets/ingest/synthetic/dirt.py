"""Faults at known places: what a real source does to clean tables, and a manifest of it to score gates on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from e2i_assets.contracts.base import key_of
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.synthetic.draws import Rng
from e2i_assets.ingest.synthetic.spec import GeneratorSpec

Kind = Literal["missing", "duplicate", "late", "impossible"]
FoundBy = Literal["load", "quality"]

LATE_DAYS = 90
"""By so many days a late row arrives later than it would have."""
MOST_BROKEN = 0.02
"""Share of a table's rows that break its contract at most: with those that refer to them less than the 5 %
with which a load fails, or nothing would be left for the gates to find.
"""


@dataclass(frozen=True, eq=False)
class Fault:
    """One way to spoil rows of a table.

    Attributes:
        column: the column that is wrong; for a duplicate the key.
        found_by: `load` when the row breaks its contract, so that the loader rejects it; `quality` when it
            may be loaded and the QC report counts it.
        value: what the column holds instead; a duplicate is a further row, others are spoilt in place.
    """

    table: str
    kind: Kind
    column: str
    found_by: FoundBy
    value: pl.Expr


def _missing(table: str, column: str, found_by: FoundBy) -> Fault:
    return Fault(table, "missing", column, found_by, pl.lit(None))


def _late(table: str) -> Fault:
    late = pl.col("ingestion_timestamp") + pl.duration(days=LATE_DAYS)
    return Fault(table, "late", "ingestion_timestamp", "quality", late)


def _again(table: str) -> Fault:
    key = key_of(TABLES[table])
    return Fault(table, "duplicate", key, "load", pl.col(key))


def _under_another_key(table: str) -> Fault:
    key = key_of(TABLES[table])
    return Fault(table, "duplicate", key, "quality", pl.format("{}_again", key))


FAULTS = (
    _missing("hcp_profiles", "specialty", "quality"),
    _missing("patient_journeys", "source_timestamp", "load"),
    _missing("patient_journeys", "disease_severity", "quality"),
    _again("patient_journeys"),
    _late("patient_journeys"),
    Fault("patient_journeys", "impossible", "age_at_diagnosis", "load", pl.lit(190)),
    _missing("treatment_events", "event_date", "load"),
    _missing("treatment_events", "cost", "quality"),
    _again("treatment_events"),
    _under_another_key("treatment_events"),
    _late("treatment_events"),
    Fault("treatment_events", "impossible", "cost", "load", -1 - pl.col("cost")),
    # No journey has this patient, so the event's patient is not its journey's.
    Fault("treatment_events", "impossible", "patient_id", "quality", pl.lit("pt_000000")),
    _missing("ml_predictions", "prediction_timestamp", "load"),
    _missing("ml_predictions", "confidence_score", "quality"),
    _again("ml_predictions"),
    _under_another_key("ml_predictions"),
    Fault("ml_predictions", "impossible", "prediction_value", "load", 1 + pl.col("prediction_value")),
    _missing("triggers", "trigger_date", "load"),
    _missing("triggers", "priority", "quality"),
    _again("triggers"),
    _under_another_key("triggers"),
    Fault("triggers", "impossible", "expiration_date", "load", pl.col("trigger_date") - pl.duration(days=3)),
)

MANIFEST = {"table": pl.String, "row": pl.Int64, "key": pl.String, "column": pl.String, "kind": pl.String,
            "found_by": pl.String}  # fmt: skip


def soil(
    spec: GeneratorSpec, tables: Mapping[str, pl.DataFrame]
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Spoil `spec.dirty` of the rows of each table that `FAULTS` names, each row in one way.

    The ways are equally frequent, as long as no more than `MOST_BROKEN` of the rows break the contract.
    Duplicates follow at the end of their table; every other row stays where it was.

    Returns:
        The tables, and the manifest (`MANIFEST`): a line for each faulty row, with its number in the table
        (from 1) and its key.
    """
    spoilt, lines = dict(tables), [pl.DataFrame(schema=MANIFEST)]
    for table in dict.fromkeys(fault.table for fault in FAULTS if spec.dirty):
        faults = [fault for fault in FAULTS if fault.table == table]
        spoilt[table], manifest = _soil_table(spec.rng("dirt", table), tables[table], faults, spec.dirty)
        lines.append(manifest)
    return spoilt, pl.concat(lines)


def _soil_table(
    rng: Rng, frame: pl.DataFrame, faults: list[Fault], rate: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    clean = np.ones(frame.height, dtype=bool)
    counts = _counts(faults, frame.height, rate)
    changes, copies, lines = [], [], []
    height = frame.height
    for fault in faults:
        # A value that is missing already cannot be spoilt.
        room = np.flatnonzero(clean & frame[fault.column].is_not_null().to_numpy())
        rows = np.sort(rng.choice(room, min(counts[fault.found_by], len(room)), replace=False))
        clean[rows] = False
        instead = fault.value.cast(frame.schema[fault.column]).alias(fault.column)
        if fault.kind == "duplicate":
            copies.append(frame[rows].with_columns(instead))
            lines.append(_lines(fault, copies[-1], np.arange(height, height + len(rows))))
            height += len(rows)
        else:
            changes.append((rows, instead))
            lines.append(_lines(fault, frame[rows], rows))
    spoilt = frame
    for rows, instead in changes:
        here = np.zeros(frame.height, dtype=bool)
        here[rows] = True
        spoilt = spoilt.with_columns(
            pl.when(pl.Series(here)).then(instead).otherwise(instead.meta.output_name())
        )
    return pl.concat([spoilt, *copies]), pl.concat(lines)


def _counts(faults: list[Fault], height: int, rate: float) -> dict[FoundBy, int]:
    """Rows that are spoilt in each single way, by who is to find them."""
    broken = sum(fault.found_by == "load" for fault in faults)
    even = rate * height / len(faults)
    most = min(even, MOST_BROKEN * height / broken) if broken else 0.0
    others = (rate * height - most * broken) / (len(faults) - broken)
    return {"load": max(1, round(most)), "quality": max(1, round(others))}


def _lines(fault: Fault, rows: pl.DataFrame, places: np.ndarray) -> pl.DataFrame:
    facts = {"table": fault.table, "column": fault.column, "kind": fault.kind, "found_by": fault.found_by}
    manifest = rows.select(key=key_of(TABLES[fault.table])).with_columns(
        pl.Series("row", places + 1), **{name: pl.lit(value) for name, value in facts.items()}
    )
    return manifest.select(pl.col(name).cast(dtype) for name, dtype in MANIFEST.items())
