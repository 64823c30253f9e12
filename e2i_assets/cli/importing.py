"""What `e2i data import` does: read a source by a mapping, or draft the mapping."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as Dictionary
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2i_assets.cohorts.config import CohortConfig
    from e2i_assets.ingest.load import Load
    from e2i_assets.ingest.mapping import Mapping
    from e2i_assets.ingest.suggest import Draft


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


def draft(source: str, output: Path | None) -> Draft:
    """Draft a mapping, and write it where it is wanted.

    Raises:
        SourceError: the source cannot be read.
        NotWritten: the file is there already.
    """
    from e2i_assets.ingest.opening import open_source
    from e2i_assets.ingest.suggest import suggest

    if output is not None and output.exists():
        raise NotWritten(f"{output}: is there already; choose another --output, or remove it")
    found = suggest(open_source(source))
    if output is not None:
        output.write_text(found.text, encoding="utf-8")
    return found
