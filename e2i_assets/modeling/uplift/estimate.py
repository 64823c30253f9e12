"""The average effect as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2i_assets.causal.refutation import RefutationReport
from e2i_assets.causal.report import EffectReport
from e2i_assets.json_files import from_json, read_json, to_json, write_json


@dataclass(frozen=True)
class EffectEstimate:
    """The report of an effect and the attempts to refute it; as published, it stood them."""

    report: EffectReport
    refutation: RefutationReport | None

    def save(self, folder: Path) -> None:
        """effect.json"""
        write_json(folder, "effect.json", to_json(self))

    @classmethod
    def load(cls, folder: Path) -> EffectEstimate:
        """Read it."""
        return from_json(cls, read_json(folder, "effect.json"))
