"""What `ml_load_batches` records of a load: what makes it this one, that it began, and how it ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

import psutil

from e2i_assets.contracts.base import columns, facts_of
from e2i_assets.contracts.rules import Rule
from e2i_assets.contracts.tables import TABLES
from e2i_assets.ingest.load import Load, LoadReport
from e2i_assets.warehouse.ddl import SCHEMA

LOADS = f"{SCHEMA}.ml_load_batches"


def register(cursor: Any, load: Load, fingerprint: str) -> int:
    """Enter a load that begins; returns its number."""
    truth = json.dumps(load.truth) if load.truth is not None else None
    absent = {table: sorted(names) for table, names in load.not_collected.items()}
    files = json.dumps(dict(load.origins))
    cursor.execute(
        f"INSERT INTO {LOADS} "
        "(source, fingerprint, status, truth, not_collected, files, loaded_by, committed_at) "
        "VALUES ($1, $2, 'staging', $3::jsonb, $4::jsonb, $5::jsonb, $6, NULL) RETURNING load_id",
        (load.source, fingerprint, truth, json.dumps(absent), files, psutil.Process().username()),
    )
    return cursor.fetchone()[0]


def finish(cursor: Any, load_id: int, status: Literal["committed", "failed"], report: LoadReport) -> None:
    """Record how a load ended."""
    parts = (report.rows, report.changed, report.rejected, report.partitions)
    committed = "now()" if status == "committed" else "NULL"
    cursor.execute(
        f"UPDATE {LOADS} SET status = '{status}', committed_at = {committed}, rows = $1::jsonb, "
        f"changed = $2::jsonb, rejected = $3::jsonb, partitions = $4::jsonb WHERE load_id = {load_id}",
        tuple(json.dumps(part) for part in parts),
    )


def fingerprint(load: Load, rules: Mapping[str, Collection[Rule]], write_size: int) -> str:
    """What makes two runs the same load; whether their rows are the same, the digests of the writes say."""
    stated = {
        "source": load.source,
        "origins": dict(load.origins),
        "replaces": (load.replaces, load.keeps_rejected),
        "truth": load.truth,
        "not_collected": {table: sorted(names) for table, names in load.not_collected.items()},
        "write_size": write_size,
        "contracts": {table: repr((columns(TABLES[table]), facts_of(TABLES[table]))) for table in rules},
        "rules": {
            table: [(rule.name, rule.column, rule.text) for rule in row_rules]
            for table, row_rules in rules.items()
        },
    }
    return hashlib.sha256(json.dumps(stated, sort_keys=True, default=str).encode()).hexdigest()
