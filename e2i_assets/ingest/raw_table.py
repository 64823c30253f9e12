"""A raw table as it is kept: the extract of one table for one partition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import polars as pl


@dataclass(frozen=True)
class RawTable:
    """One table's extract for one partition."""

    SEALED: ClassVar = ("table.parquet",)
    frame: pl.DataFrame

    def save(self, folder: Path) -> None:
        """table.parquet"""
        self.frame.write_parquet(folder / "table.parquet")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read table.parquet."""
        return cls(pl.read_parquet(folder / "table.parquet"))
