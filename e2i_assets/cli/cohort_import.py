"""What `e2i cohort import` does: write the cohort file and the mapping that a definition becomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2i_assets.cohorts.circe import Definition
    from e2i_assets.cohorts.circe.definition import Asked


def asked_of(brand: str, indication: str, as_of: dt.date, source: str, leave_out: Sequence[str]) -> Asked:
    """What was asked for beside the definition.

    Raises:
        typer.BadParameter: a part that cannot be left out, or a name that is blank.
    """
    import typer

    from e2i_assets.cohorts.circe.definition import EXITS, Asked

    if unknown := [part for part in leave_out if part not in EXITS]:
        raise typer.BadParameter(f"--leave-out takes {' or '.join(EXITS)}, not {unknown[0]!r}")
    for option, text in (("--brand", brand), ("--indication", indication), ("--source", source)):
        if not text.strip():
            raise typer.BadParameter(f"{option} is blank")
    return Asked(brand, indication, as_of, source, tuple(part for part in EXITS if part in leave_out))


def import_files(
    definition: Path, asked: Asked, mapping: Path | None, *, force: bool
) -> tuple[Definition, list[Path]]:
    """Import a definition; the cohort file goes to the configuration, the mapping beside the definition.

    Raises:
        CirceError: the definition cannot be read, or not be taken over.
        NotWritten: a file is there already.
    """
    from e2i_assets.cli.importing import NotWritten
    from e2i_assets.cohorts.circe import import_definition
    from e2i_assets.cohorts.circe.concept_sets import slug
    from e2i_assets.settings import config_dir

    imported = import_definition(definition, asked)
    key = slug(f"{asked.brand}_{asked.indication}") or "cohort"
    files = {
        config_dir() / "cohorts" / f"{key}.yaml": imported.cohort,
        mapping or definition.with_name(f"{key}.mapping.yaml"): imported.mapping,
    }
    for path in files:
        if path.exists() and not force:
            raise NotWritten(f"{path}: is there already.", "Give --force to write over it, or remove it.")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return imported, list(files)
