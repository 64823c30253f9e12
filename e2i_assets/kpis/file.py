"""`config/kpis/*.yaml`: the indicators of the installation, a file for each group of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from e2i_assets.config_files import ConfigFileError, ConfigModel, Text, read_settings
from e2i_assets.kpis.errors import KpiFileError
from e2i_assets.kpis.kpi import Kpi

FOLDER = "kpis"
"""Below the configuration folder."""


class KpiGroup(ConfigModel):
    """One file: indicators that are looked at together."""

    group: Text
    kpis: tuple[Kpi, ...] = Field(min_length=1)

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read one file.

        Raises:
            KpiFileError: not strict YAML, an unknown key, a wrong value, or SQL that may not be run.
        """
        try:
            document, lines = read_settings(path)
        except ConfigFileError as error:
            raise KpiFileError(str(error)) from error
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise KpiFileError("; ".join(lines.mistakes(error))) from error


def load_kpis(config: Path) -> tuple[KpiGroup, ...]:
    """Every group, in the order of their files' names.

    Raises:
        KpiFileError: there is no file, one is wrong, or two indicators have the same id.
    """
    files = sorted((config / FOLDER).glob("*.yaml"))
    if not files:
        raise KpiFileError(
            f"no file of indicators (*.yaml) in {config / FOLDER}.",
            "Write one, or write those that come along into another folder: e2i init FOLDER",
        )
    groups = tuple(KpiGroup.from_yaml(file) for file in files)
    ids = Counter(kpi.id for group in groups for kpi in group.kpis)
    if twice := [name for name, count in ids.items() if count > 1]:
        raise KpiFileError(f"{config / FOLDER}: more than one indicator has the id {', '.join(twice)}")
    return groups
