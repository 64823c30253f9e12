"""What `e2i audit leakage` audits: files, or the published splits of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from e2i_assets.assets.splits import event_times, plausible_of, undated
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.config_files import ConfigFileError, parse_yaml, read_yaml
from e2i_assets.contracts.base import columns
from e2i_assets.contracts.tables import TABLES
from e2i_assets.errors import E2IError
from e2i_assets.ingest.attributes import DTYPES
from e2i_assets.ingest.files import GZIP, SUFFIXES
from e2i_assets.ingest.frames import CUSTOMARY, read_frames
from e2i_assets.ingest.mapping import Reading
from e2i_assets.leakage import LeakageReport, audit_leakage
from e2i_assets.leakage.contract import Contract
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import Scope
from e2i_assets.partitions import cohort_config
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.settings import Settings


class UnusableAuditInput(E2IError, ValueError):
    """A file that is no table or no contract, or a partition without published splits."""

    code = "audit_input"
    next_step = "Give files that can be read, or correct the option that the message names."


def stated_reading(text: str) -> Reading:
    """How files are to be read, as YAML of what `read:` of a mapping says.

    Raises:
        UnusableAuditInput: it is no YAML, or says what no reading has.
    """
    try:
        return Reading.model_validate(parse_yaml(text, Path("--read"))[0])
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UnusableAuditInput(f"--read: {mistakes}") from None
    except ConfigFileError as error:
        raise UnusableAuditInput(str(error)) from error


def read_tables(
    files: Sequence[Path], reading: Reading, *, id_column: str | None, contract: Contract | None
) -> list[pd.DataFrame]:
    """CSV or Parquet files of one kind of rows, read as `e2i data import` reads them; ids are text.

    Raises:
        UnusableAuditInput: a file is none of both.
        SourceError: a file is missing, empty or damaged.
    """
    for path in files:
        if not path.name.lower().endswith((*SUFFIXES, GZIP)):
            raise UnusableAuditInput(f"{path}: neither .csv nor .parquet")
    text = [id_column] if id_column else []
    return read_frames([str(path) for path in files], reading, text=text, declared=_types(contract))


def _types(contract: Contract | None) -> dict[str, str]:
    """The types that a contract declares (`dtype`), of a table of ours or of the columns of a file."""
    if isinstance(contract, type):
        names = {dtype: name for name, dtype in DTYPES.items()}
        return {c.name: names[c.dtype] for c in columns(contract) if c.dtype in names}
    entries = contract if isinstance(contract, dict) else {}
    return {
        name: str(entry["dtype"])
        for name, entry in entries.items()
        if isinstance(entry, dict) and entry.get("dtype") in DTYPES
    }


def read_contract(name: str) -> Contract:
    """A contract by the name of one of our tables, or from a YAML or JSON file of columns.

    Raises:
        UnusableAuditInput: the file is no mapping of columns to entries.
        ConfigFileError: the file cannot be read as YAML.
        FileNotFoundError: neither a table of ours nor a file.
    """
    if name in TABLES:
        return TABLES[name]
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"{name}: neither a file nor a table ({', '.join(TABLES)})")
    content, _ = read_yaml(path)
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
    reading: Reading = CUSTOMARY,
) -> dict[str, LeakageReport]:
    """The audit of a file, by its name."""
    stated = read_contract(contract) if contract else None
    train, *others = read_tables([file, *other_splits], reading, id_column=id_column, contract=stated)
    report = audit_leakage(
        train,
        target,
        id_column=id_column,
        contract=stated,
        other_splits=dict(zip(map(str, other_splits), others, strict=True)) or None,
        event_times=event_times,
    )
    return {str(file): report}


def audit_partition(here: Settings, store: ArtifactStore, partition: str) -> dict[str, LeakageReport]:
    """The audit of the published train and validation splits, by scope; test and holdout stay sealed.

    Raises:
        UnusableAuditInput: no splits are published.
    """
    cohort = cohort_config(here.config_dir, partition)
    current = store.current("splits", partition)
    if current is None:
        raise UnusableAuditInput(f"{partition}: no splits are published.", "Materialize them first.")
    splits = store.read("splits", partition, current.version, Splits)
    scopes = load_scopes(here.config_dir / "scopes")
    return {f"{partition}, {name}": audit_scope(splits, scopes[name], cohort) for name in cohort.scopes}


def audit_scope(splits: Splits, scope: Scope, cohort: CohortConfig) -> LeakageReport:
    """The audit of train, compared with validation, for one scope.

    Raises:
        LeakageError: nothing can be said of the scope's target.
    """
    target, time = scope.target, event_times(splits.train)
    columns = ["patient_id", *filter(None, [time]), *[feature.name for feature in splits.features], target]
    train, validation = (
        frame.loc[frame[target].notna(), columns] for frame in (splits.train, splits.validation)
    )
    report = audit_leakage(
        train,
        target,
        id_column="patient_id",
        contract={feature.name: feature for feature in splits.features},
        other_splits={"validation": validation},
        event_times=time,
        plausible=plausible_of(scope),
        regression=not scope.problem.of_classes,
        equal_rows=cohort.equal_rows == "allow",
    )
    return report if time else undated(report)
