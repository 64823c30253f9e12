"""What `e2i data import` does: read a source by a mapping, or draft the mapping."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping as Dictionary
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from e2i_assets.errors import E2IError

if TYPE_CHECKING:
    from e2i_assets.cohorts.config import CohortConfig
    from e2i_assets.contracts.partition_key import PartitionKey
    from e2i_assets.ingest.drafts import Draft
    from e2i_assets.ingest.load import Load
    from e2i_assets.ingest.mapping import Mapping


class NotReplaceable(E2IError, ValueError):
    """A delivery of which nobody says whose rows it replaces."""

    code = "not_replaceable"


class NotWritten(E2IError, ValueError):
    """A draft is not written over a file that is there."""

    code = "not_written"


def read(
    source: str,
    mapping: Path | None,
    config: Path,
    *,
    replace: bool = False,
    show: bool,
) -> Load:
    """Open a source as a load.

    Args:
        config: folder of the configuration, whose cohort files the mapping must agree with.
        replace: whether rows of the same source that are no longer delivered are to be removed.

    Raises:
        SourceError: the source cannot be read.
        MappingError: the mapping is wrong, contradicts a cohort file, or is of a partition that has none.
    """
    from rich.console import Console

    from e2i_assets.ingest.mapping import Mapping
    from e2i_assets.ingest.sources import read_source
    from e2i_assets.partitions import cohort_configs

    stated = Mapping.from_yaml(mapping) if mapping else None
    if stated is not None:
        require_cohort_file(stated, config)
        agree_with_cohorts(stated, cohort_configs(config))
    owner = _owner(stated) if replace else None
    with Console(stderr=True, quiet=not show).status("opening the source"):
        load = read_source(source, stated, now=datetime.now(UTC))
    return load if owner is None else dataclasses.replace(load, replaces=owner)


def _owner(mapping: Mapping | None) -> str:
    """The source whose rows a whole delivery replaces."""
    if mapping is None:
        raise NotReplaceable(
            "--replace needs a --mapping: its `source` says whose rows the delivery replaces.",
            "Give the mapping that the source is loaded with.",
        )
    return mapping.owner()


def require_cohort_file(mapping: Mapping, config: Path) -> None:
    """Refuse a mapping of a brand and indication that are no partition: every row would be rejected.

    Raises:
        MappingError: naming the files to copy, where they lie beside the mapping as drafts and examples do.
    """
    from e2i_assets.ingest.mapping import MappingError
    from e2i_assets.partitions import declared_partitions

    partition = mapping.partition_key()
    if partition is None or partition in declared_partitions(config):
        return
    copies = [
        f"`cp {_from_here(path)} {_from_here(config / kind)}`"
        for kind, path in _beside(mapping.lines.path.parent, partition, config)
    ]
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(partition).lower()).strip("_")
    step = " and ".join(copies) or (
        f"Make {_from_here(config / 'cohorts' / name)}.yaml with that brand and indication: copy one that is "
        "there and change it, or have it drafted with `e2i data import SOURCE --suggest --output "
        "draft/mapping.yaml`"
    )
    at = ("omop", "brand") if mapping.omop else ("tables", "patient_journeys", "columns", "brand")
    raise MappingError(
        mapping.lines.at(at, f"no cohort file is of {' / '.join(partition)}"), f"{step}; then import again."
    )


def _beside(folder: Path, partition: PartitionKey, config: Path) -> list[tuple[str, Path]]:
    """The cohort file of a partition near its mapping, and the scope files that it lists, by their folder."""
    from e2i_assets.config_files import ConfigFileError, read_settings

    for path in sorted([*folder.glob("*.yaml"), *folder.glob("cohorts/*.yaml")]):
        with suppress(ConfigFileError):
            stated, _ = read_settings(path)
            if (stated.get("brand"), stated.get("indication")) == partition:
                names = [f"{name}.yaml" for name in stated.get("scopes") or ()]
                scopes = [
                    near / name
                    for name in names
                    for near in (folder, folder / "scopes")
                    if (near / name).is_file() and not (config / "scopes" / name).exists()
                ]
                return [("cohorts", path), *(("scopes", scope) for scope in scopes)]
    return []


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def agree_with_cohorts(mapping: Mapping, cohort_configs: Dictionary[str, CohortConfig]) -> None:
    """Refuse a mapping that says something else of an attribute than the cohort files of its partitions.

    Raises:
        MappingError: naming the lines of the mapping and the cohort files.
    """
    from e2i_assets.ingest.attributes import contradiction
    from e2i_assets.ingest.mapping import MappingError

    spec = mapping.tables.get("patient_journeys")
    mistakes = [
        mapping.lines.at(
            ("tables", "patient_journeys", "attributes", name), f"config/cohorts/{key}.yaml: {mistake}"
        )
        for key, cohort_config in cohort_configs.items()
        if mapping.may_fill(cohort_config.brand, cohort_config.indication)
        for name, stated in (spec.attributes if spec else {}).items()
        if (mistake := contradiction(name, stated, cohort_config.attributes.get(name)))
    ]
    if mistakes:
        raise MappingError("\n".join(mistakes))


def draft(source: str, output: Path | None) -> tuple[Draft, list[Path]]:
    """Draft a mapping, and write it where it is wanted, with its cohort and scope file below that folder.

    Raises:
        SourceError: the source cannot be read.
        NotWritten: the file is there already.
    """
    from e2i_assets.ingest.drafts import suggest
    from e2i_assets.ingest.opening import open_source

    _not_there(output)
    drafted = suggest(open_source(source), datetime.now(UTC).date())
    if output is None:
        return drafted, []
    files = {output: drafted.text}
    for folder, made in (("cohorts", drafted.cohort), ("scopes", drafted.scope)):
        if made is not None:
            files[output.parent / folder / f"{made[0]}.yaml"] = made[1]
    for path in files:
        _not_there(path)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return drafted, list(files)


def _not_there(path: Path | None) -> None:
    if path is not None and path.exists():
        raise NotWritten(f"{path}: is there already.", "Choose another --output, or remove it.")
