"""What `e2i audit leakage` audits: files, or the published splits of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from e2i_assets.assets.artifacts import Splits
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.tables import TABLES
from e2i_assets.gates.context import availability
from e2i_assets.modeling.scope import load_scopes
from e2i_assets.partitions import programme
from e2i_assets.quality.leakage import LeakageReport, audit_leakage
from e2i_assets.quality.leakage.declared import Contract
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings


class UnusableAuditInput(ValueError):
    """A file that is no table or no contract, or a partition without published splits."""


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file.

    Raises:
        UnusableAuditInput: the file is none of both, damaged or empty.
        FileNotFoundError: there is no such file.
    """
    kinds = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".pq": pd.read_parquet}
    read = kinds.get(path.suffix.lower())
    if read is None:
        raise UnusableAuditInput(f"{path}: neither .csv nor .parquet")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return read(path)  # type: ignore[operator]
    except ValueError as error:  # pandas' and Arrow's own errors of parsing are ValueErrors
        raise UnusableAuditInput(f"{path}: cannot be read ({type(error).__name__})") from error


def read_contract(name: str) -> Contract:
    """A contract by the name of one of our tables, or from a YAML or JSON file of columns.

    Raises:
        UnusableAuditInput: the file is no mapping of columns to entries.
        FileNotFoundError: neither a table of ours nor a file.
    """
    if name in TABLES:
        return TABLES[name]
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"{name}: neither a file nor a table ({', '.join(TABLES)})")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnusableAuditInput(f"{path}: cannot be read ({type(error).__name__})") from error
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if isinstance(content, dict) and all(isinstance(entry, dict | str) for entry in content.values()):
        return content
    raise UnusableAuditInput(f"{path}: must list columns, or map each to its role and available_at")


def audit_files(
    file: Path,
    target: str,
    *,
    id_column: str | None,
    contract: str | None,
    other_splits: Sequence[Path],
    event_times: str | None,
) -> dict[str, LeakageReport]:
    """The audit of a file, by its name."""
    report = audit_leakage(
        read_table(file),
        target,
        id_column=id_column,
        contract=read_contract(contract) if contract else None,
        other_splits={str(path): read_table(path) for path in other_splits} or None,
        event_times=event_times,
    )
    return {str(file): report}


def audit_partition(here: Settings, store: ArtifactStore, partition: str) -> dict[str, LeakageReport]:
    """The audit of the published train and validation splits, by scope; test and holdout stay sealed.

    Raises:
        UnusableAuditInput: no splits are published.
    """
    cohort = programme(here.config_dir, partition)
    current = store.current("splits", partition)
    if current is None:
        raise UnusableAuditInput(f"{partition}: no splits are published; materialize them first")
    splits = store.read("splits", partition, current.version, Splits)
    scopes = load_scopes(here.config_dir / "scopes")
    return {f"{partition}, {name}": _audit(splits, scopes[name].target, cohort) for name in cohort.scopes}


def _audit(splits: Splits, target: str, cohort: CohortConfig) -> LeakageReport:
    wanted = ["patient_id", "index_date", *[feature.name for feature in splits.features], target]
    train, validation = (
        frame.loc[frame[target].notna(), wanted] for frame in (splits.train, splits.validation)
    )
    return audit_leakage(
        train,
        target,
        id_column="patient_id",
        contract=availability(cohort, splits.features),
        other_splits={"validation": validation},
        event_times="index_date",
    )
