"""Partitions: one per file in config/cohorts. A new file is a new partition."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.cohorts.errors import CohortError
from e2i_assets.config_files import ConfigFileError, read_settings
from e2i_assets.contracts.partition_key import PartitionKey
from e2i_assets.errors import E2IError
from e2i_assets.modeling.scopes.files import wrong_scopes
from e2i_assets.settings import config_dir

if TYPE_CHECKING:
    import dagster as dg


def cohort_files(config: Path) -> dict[str, Path]:
    """Partition key to its cohort file, in the order of the keys.

    Raises:
        FileNotFoundError: the folder has no cohort file.
    """
    files = {path.stem: path for path in sorted((config / "cohorts").glob("*.yaml"))}
    if not files:
        raise FileNotFoundError(
            f"no cohort file (*.yaml) in {config / 'cohorts'}. Write one, name another folder in E2I_CONFIG, "
            "or write those that come along: e2i init FOLDER"
        )
    return files


class UnknownPartition(E2IError, ValueError):
    """A partition key that no cohort file has."""

    code = "unknown_partition"
    next_step = "Name one of the partitions that there are, or add its cohort file."


class UnknownScope(E2IError, ValueError):
    """A cohort file that lists a scope which no file defines, or whose file is wrong."""

    code = "unknown_scope"
    next_step = "Correct the scopes of the cohort file, or the scope file that the message names."


@cache
def cohort_config(config: Path, partition: str) -> CohortConfig:
    """The cohort configuration of a partition.

    Raises:
        UnknownPartition: there is no such cohort file.
        CohortError: the file is wrong.
        UnknownScope: it lists a scope that is not in config/scopes, or one that is wrong.
    """
    files = cohort_files(config)
    if partition not in files:
        raise UnknownPartition(f"no such partition: {partition}; there are {', '.join(files)}")
    cohort = CohortConfig.from_yaml(files[partition])
    known = sorted(path.stem for path in (config / "scopes").glob("*.yaml"))
    unknown = [name for name in cohort.scopes if name not in known]
    if unknown:
        raise UnknownScope(
            f"{files[partition]}: scopes: no file in {config / 'scopes'} defines {', '.join(unknown)}; "
            f"there are {', '.join(known)}"
        )
    if wrong := [reason for name, reason in wrong_scopes(config / "scopes").items() if name in cohort.scopes]:
        raise UnknownScope(f"{files[partition]}: scopes: {'; '.join(wrong)}")
    return cohort


def cohort_configs(config: Path) -> dict[str, CohortConfig]:
    """Partition key to its cohort configuration, of the partitions whose files are right."""
    wrong = wrong_files(config)
    return {key: cohort_config(config, key) for key in cohort_files(config) if key not in wrong}


def declared_partitions(config: Path) -> set[PartitionKey]:
    """Brand and indication of every partition; rows are loaded although a file is wrong in something else."""
    declared = {one.partition_key for one in cohort_configs(config).values()}
    for partition in wrong_files(config):
        with suppress(ConfigFileError):
            content, _ = read_settings(cohort_files(config)[partition])
            declared.add(PartitionKey(str(content.get("brand")), str(content.get("indication"))))
    return declared


def wrong_files(config: Path) -> dict[str, str]:
    """Partition key to what is wrong with its cohort file or with a scope that it lists; the others go on."""
    reasons = {}
    for key in cohort_files(config):
        try:
            cohort_config(config, key)
        except (CohortError, UnknownScope) as error:
            reasons[key] = str(error)
    return reasons


def serves(config: Path, scope: str, partition: str) -> bool:
    """Whether the partition's cohort file lists the scope."""
    return scope in cohort_config(config, partition).scopes


@cache
def partitions() -> dg.StaticPartitionsDefinition:
    """The partitions definition that every asset shares.

    Also those of a scope that serves only some partitions: a partition is one run, and Dagster refuses a job
    and a run over assets whose definitions differ. The stages of a scope pass over what it does not serve.
    """
    import dagster as dg

    return dg.StaticPartitionsDefinition(list(cohort_files(config_dir())))
