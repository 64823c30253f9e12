"""What `e2i data import` does: read a source by a mapping, or draft the mapping."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as Dictionary
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2i_assets.cohorts.config import CohortConfig
    from e2i_assets.ingest.drafts import Draft
    from e2i_assets.ingest.load import Load
    from e2i_assets.ingest.mapping import Mapping


class NotReplaceable(ValueError):
    """A delivery of which nobody says whose rows it replaces."""


class NotWritten(ValueError):
    """A draft is not written over a file that is there."""


def read(
    source: str,
    mapping: Path | None,
    programmes: Dictionary[str, CohortConfig],
    *,
    replace: bool = False,
    show: bool,
) -> Load:
    """Open a source as a load.

    Args:
        replace: whether rows of the same source that are no longer delivered are to be removed.

    Raises:
        SourceError: the source cannot be read.
        MappingError: the mapping is wrong, or contradicts a cohort file.
    """
    from rich.console import Console

    from e2i_assets.ingest.mapping import Mapping
    from e2i_assets.ingest.sources import read_source

    stated = Mapping.from_yaml(mapping) if mapping else None
    if stated is not None:
        agree_with_cohorts(stated, programmes)
    owner = _owner(stated) if replace else None
    with Console(stderr=True, quiet=not show).status("opening the source"):
        load = read_source(source, stated, now=datetime.now(UTC))
    return load if owner is None else dataclasses.replace(load, replaces=owner)


def _owner(mapping: Mapping | None) -> str:
    """The source whose rows a whole delivery replaces."""
    if mapping is None:
        raise NotReplaceable(
            "--replace needs a --mapping: its `source` says whose rows the delivery replaces"
        )
    return mapping.owner()


def agree_with_cohorts(mapping: Mapping, programmes: Dictionary[str, CohortConfig]) -> None:
    """Refuse a mapping that says something else of an attribute than the cohort files of its programmes.

    Raises:
        MappingError: naming the lines of the mapping and the cohort files.
    """
    from e2i_assets.ingest.attributes import contradiction
    from e2i_assets.ingest.mapping import MappingError

    spec = mapping.tables.get("patient_journeys")
    mistakes = [
        mapping.lines.at(
            ("tables", "patient_journeys", "attributes", name), f"config/cohorts/{key}.yaml: {said}"
        )
        for key, programme in programmes.items()
        if mapping.may_fill(programme.brand, programme.indication)
        for name, stated in (spec.attributes if spec else {}).items()
        if (said := contradiction(name, stated, programme.attributes.get(name)))
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
    found = suggest(open_source(source), datetime.now(UTC).date())
    if output is None:
        return found, []
    files = {output: found.text}
    for folder, made in (("cohorts", found.cohort), ("scopes", found.scope)):
        if made is not None:
            files[output.parent / folder / f"{made[0]}.yaml"] = made[1]
    for path in files:
        _not_there(path)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return found, list(files)


def _not_there(path: Path | None) -> None:
    if path is not None and path.exists():
        raise NotWritten(f"{path}: is there already; choose another --output, or remove it")
