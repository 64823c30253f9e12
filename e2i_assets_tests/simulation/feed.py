"""What sources deliver: new patients of a partition, as generated data with another day, number and people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl

from e2i_assets.cli import importing
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.ingest.load import LoadReport
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.partitions import cohort_config, cohort_configs
from e2i_assets.settings import Settings
from e2i_assets.warehouse.warehouse import Warehouse

IDENTIFIERS = (
    "hcp_id", "npi", "patient_journey_id", "patient_id", "treatment_event_id", "prediction_id", "trigger_id",
    "metric_id", "path_id",
)  # fmt: skip
PATIENTS = 1_700
"""Of a partition, all deliveries together."""

Tables = dict[str, pl.DataFrame]
Change = Callable[[Tables], Tables]


def unchanged(tables: Tables) -> Tables:
    return tables


def delivery(partition: PartitionKey, day: dt.date, patients: range, change: Change = unchanged) -> Tables:
    """Some patients of the partition, whose data end on `day`, and all its HCPs; equal for equal arguments.

    Deliveries are parts of one population, so that without a change of the source none drifts from another.

    Args:
        patients: their numbers, below PATIENTS.
        change: what the source does otherwise than before.
    """
    generated = generate(GeneratorSpec(patients=PATIENTS, partitions=(partition,), as_of=day)).tables
    tables = {name: generated[name] for name in RAW_TABLES}
    journeys = tables["patient_journeys"]["patient_journey_id"][patients.start : patients.stop].implode()
    # Whoever is enrolled is reported with all of the past.
    night, delivered = dt.datetime.combine(day, dt.time(), dt.UTC), {}
    tables["treatment_events"] = tables["treatment_events"].with_columns(
        source_timestamp=night - dt.timedelta(hours=1), ingestion_timestamp=night + dt.timedelta(hours=3)
    )
    for name, frame in tables.items():
        if "patient_journey_id" in frame.columns:
            frame = frame.filter(pl.col("patient_journey_id").is_in(journeys))
        delivered[name] = frame.with_columns(
            (f"{partition.stem}-" + pl.col(column)).alias(column)
            for column in IDENTIFIERS
            if column in frame.columns
        )
    return change(delivered)


def deliver(here: Settings, warehouse: Warehouse, folder: Path, tables: Tables) -> LoadReport:
    """Load tables as `e2i data import FOLDER` does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    load = importing.read(str(folder), None, here.config_dir, show=False)
    known = {(one.brand, one.indication) for one in cohort_configs(here.config_dir).values()}
    return warehouse.load(load, known)


def partition_key(here: Settings, partition: str) -> PartitionKey:
    """Brand and indication of a partition."""
    return cohort_config(here.config_dir, partition).partition_key
