"""Partitions: one per file in config/cohorts. A new file is a new partition."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import dagster as dg

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.settings import config_dir


def cohort_files(config: Path) -> dict[str, Path]:
    """Partition key to its cohort file, in the order of the keys.

    Raises:
        FileNotFoundError: the folder has no cohort file.
    """
    found = {path.stem: path for path in sorted((config / "cohorts").glob("*.yaml"))}
    if not found:
        raise FileNotFoundError(f"no cohort file (*.yaml) in {config / 'cohorts'}; set E2I_CONFIG")
    return found


class UnknownScope(ValueError):
    """A cohort file that lists a scope which no file defines."""


@cache
def programme(config: Path, partition: str) -> CohortConfig:
    """The cohort configuration of a partition.

    Raises:
        UnknownScope: it lists a scope that is not in config/scopes.
    """
    file = cohort_files(config)[partition]
    found = CohortConfig.from_yaml(file)
    known = sorted(path.stem for path in (config / "scopes").glob("*.yaml"))
    unknown = [name for name in found.scopes if name not in known]
    if unknown:
        raise UnknownScope(
            f"{file}: scopes: no file in {config / 'scopes'} defines {', '.join(unknown)}; "
            f"there are {', '.join(known)}"
        )
    return found


def programmes(config: Path) -> dict[str, CohortConfig]:
    """Partition key to its cohort configuration."""
    return {key: programme(config, key) for key in cohort_files(config)}


def serves(config: Path, scope: str, partition: str) -> bool:
    """Whether the partition's cohort file lists the scope."""
    return scope in programme(config, partition).scopes


@cache
def partitions() -> dg.StaticPartitionsDefinition:
    """The partitions definition that every asset shares.

    Also those of a scope that serves only some partitions: a partition is one run, and Dagster refuses a job
    and a run over assets whose definitions differ. The stages of a scope pass over what it does not serve.
    """
    return dg.StaticPartitionsDefinition(list(cohort_files(config_dir())))
