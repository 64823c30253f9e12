"""Base of the models of this package's YAML files: strict keys, errors that name the file and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import ValidationError

from e2i_assets.config_files import ConfigFileError, ConfigModel, read_settings
from e2i_assets.modeling.errors import ConfigError


class YamlModel(ConfigModel):
    """A model that is read from one YAML document."""

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read one file.

        Raises:
            ConfigError: no such file, not strict YAML, not a mapping, an unknown key or a wrong value.
        """
        try:
            document, lines = read_settings(Path(path))
        except ConfigFileError as error:
            raise ConfigError(str(error)) from error
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise ConfigError("; ".join(lines.mistakes(error))) from error
