"""Where `e2i cohort` finds definitions, constructions and certified data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from e2i_assets.cohorts import CohortConfig, CohortResult
from e2i_assets.cohorts.small_cells import EXACT, Cells
from e2i_assets.errors import E2IError
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.partitions import cohort_config, cohort_configs, cohort_files
from e2i_assets.quality.config import QualityConfig
from e2i_assets.quality.report import QCReport
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.cohorts import cohort_versions, definitions_beginning, latest_cohort
from e2i_assets.warehouse.warehouse import Warehouse

HASH = re.compile(r"[0-9a-f]{4,16}")


class NothingToShow(E2IError, ValueError):
    """A name that stands for no definition, or a partition without a construction."""

    code = "nothing_to_show"


@dataclass(frozen=True)
class Execution:
    """One construction of a cohort as it was recorded; `standing` says whether it is the published one."""

    partition: str
    run_id: str
    executed_at: str
    standing: str
    result: CohortResult


@dataclass(frozen=True)
class CertifiedData:
    """Journeys and events of a partition in the versions that its quality report certifies."""

    journeys: pl.DataFrame
    events: pl.DataFrame
    versions: Mapping[str, str]


def cells(here: Settings) -> Cells:
    """How counts of patients are told here."""
    if here.small_cells == "show":
        return EXACT
    return Cells(QualityConfig.from_yaml(here.config_dir / "quality.yaml").minimum_cell_count)


def definition(here: Settings, warehouse: Warehouse, name: str) -> CohortConfig:
    """The definition in a file, of a partition, or of a stored version.

    Raises:
        NothingToShow: there is none, or the hash begins more than one.
        CohortError: CC_001, it breaks a rule.
    """
    known = cohort_files(here.config_dir)
    if name in known:
        return cohort_config(here.config_dir, name)
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return CohortConfig.from_yaml(name)
    stored = definitions_beginning(warehouse, name) if HASH.fullmatch(name) else {}
    if len(stored) == 1:
        return _parsed(*stored.popitem())
    if stored:
        raise NothingToShow(f"{name} begins {', '.join(stored)}.", "Give more of it.")
    raise NothingToShow(
        f"{name!r} is neither a YAML file nor a partition ({', '.join(known)}) nor the hash of a stored "
        "definition.",
        "`e2i cohort show PARTITION` lists the definitions that are stored.",
    )


def versions(warehouse: Warehouse, config: CohortConfig) -> list[dict[str, Any]]:
    """Stored definitions of the same brand and indication, newest first, with their last counts."""
    rows = cohort_versions(warehouse, config)
    return [{**row, "created_at": f"{row['created_at']:%Y-%m-%d %H:%M}"} for row in rows]


def newest(here: Settings, warehouse: Warehouse, partition: str) -> Execution:
    """The last construction of a partition's cohort.

    Raises:
        NothingToShow: there is no such partition, or its cohort was never constructed.
    """
    latest = latest_cohort(warehouse, partition)  # also of a partition whose file is gone
    if latest is None and partition not in cohort_files(here.config_dir):
        raise NothingToShow(
            f"no partition {partition!r}; there are {', '.join(cohort_files(here.config_dir))}.",
            "Name one of these.",
        )
    if latest is None:
        raise NothingToShow(
            f"the cohort of {partition} was never constructed.",
            f"Construct it: `e2i materialize --partition {partition} --select '*cohort'`",
        )
    published = open_store(here).current("cohort", partition)
    stands = published is not None and published.run_id == latest.run_id
    standing = "published" if stands else "not published, read its gates"
    return Execution(partition, latest.run_id, latest.executed_at.isoformat(), standing, latest.result)


def certified(here: Settings, config: CohortConfig) -> CertifiedData | None:
    """The data that its cohort would be made of; None when no quality report is published."""
    named = {known.partition_key: key for key, known in cohort_configs(here.config_dir).items()}
    partition = named.get(config.partition_key)
    store = open_store(here)
    report = store.current("qc_report", partition) if partition else None
    if partition is None or report is None:
        return None
    raw = store.read("qc_report", partition, report.version, QCReport).raw_versions
    tables = {
        name: store.read(f"raw/{name}", partition, raw[name], RawTable).frame
        for name in ("patient_journeys", "treatment_events")
    }
    return CertifiedData(tables["patient_journeys"], tables["treatment_events"], dict(raw))


def _parsed(config_hash: str, content: Any) -> CohortConfig:
    try:
        return CohortConfig(**content)
    except ValidationError as error:
        raise NothingToShow(
            f"definition {config_hash} was stored by another version of E2I assets and cannot be read "
            f"({error.error_count()} mistakes).",
            "Read it with that version, or materialize the cohort again, which stores it anew.",
        ) from None
