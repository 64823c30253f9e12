"""Generate synthetic data, load them, and keep what only their generator knows."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl

from e2i_assets.assets.artifacts import RawTable
from e2i_assets.cli.data import load_with_progress
from e2i_assets.ingest.loader import Load, LoadReport
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.ingest.synthetic.journeys import DATA_SOURCE
from e2i_assets.resources.store import ArtifactStore, Published
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings

ORACLE = "synthetic_oracle"


def generate_and_load(
    here: Settings,
    warehouse: Warehouse,
    *,
    dgp: str,
    seed: int,
    scale: Literal["full", "small"],
    dry_run: bool = False,
    show: bool = True,
) -> tuple[LoadReport, dict[str, Any]]:
    """Returns the load's report and the declared truth.

    Raises:
        ValueError: no such data-generating process.
    """
    made = generate(GeneratorSpec(dgp=dgp, seed=seed, scale=scale))  # type: ignore[arg-type]
    load = Load(made.tables, source=f"{DATA_SOURCE}:{dgp}", replaces=DATA_SOURCE, truth=made.truth)
    if dry_run:
        report = load_with_progress(here, warehouse, load, dry_run=True, show=show)
        return report, made.truth
    # Written before anything is loaded: a store that refuses leaves the warehouse as it was.
    store = ArtifactStore(here.artifacts_url)
    version = store.write(ORACLE, DATA_SOURCE, RawTable(made.oracle))
    report = load_with_progress(here, warehouse, load, dry_run=False, show=show)
    store.publish(Published(ORACLE, DATA_SOURCE, version, fingerprint=version))
    return report, made.truth


def oracle(here: Settings) -> pl.DataFrame | None:
    """True outcome probability (`p_true`) by patient_journey_id; None when the data are not synthetic."""
    store = ArtifactStore(here.artifacts_url)
    current = store.current(ORACLE, DATA_SOURCE)
    return store.read(ORACLE, DATA_SOURCE, current.version, RawTable).frame if current else None
