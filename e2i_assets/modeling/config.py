"""Base of the models of this package's YAML files: strict keys, errors that name the file and the key."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from e2i_assets.modeling.errors import ConfigError


class YamlModel(BaseModel):
    """A frozen model that is read from one YAML document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read one file.

        Raises:
            ConfigError: no such file, not YAML, not a mapping, an unknown key or a wrong value.
        """
        path = Path(path)
        try:
            document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: must be a mapping of keys to values, not {type(document).__name__}")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            found = [_describe(e["loc"], e["msg"]) for e in error.errors(include_url=False)]
            raise ConfigError(f"{path}: " + "; ".join(found)) from error


def _describe(location: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in location)
    return f"{key}: {message}" if key else message
