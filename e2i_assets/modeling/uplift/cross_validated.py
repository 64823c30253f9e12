"""What several libraries say of the average effect, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from e2i_assets.causal.cross_validation import CrossValidation
from e2i_assets.json_files import from_json, read_json, to_json, write_json


@dataclass(frozen=True)
class CrossValidated:
    """A comparison of libraries, whatever came of it."""

    validation: CrossValidation

    def save(self, folder: Path) -> None:
        """cross_validation.json, without times: the same rows give the same file."""
        validation = self.validation.written
        timeless = tuple(replace(library, seconds=0.0) for library in validation.libraries)
        write_json(folder, "cross_validation.json", to_json(replace(validation, libraries=timeless)))

    @classmethod
    def load(cls, folder: Path) -> CrossValidated:
        """Read it."""
        return cls(from_json(CrossValidation, read_json(folder, "cross_validation.json")))
