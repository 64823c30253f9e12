"""What only the generator knows, as it is kept beside the data: never loaded as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.dirt import MANIFEST
from e2i_assets.ingest.synthetic.followup import TRUE_MEANS
from e2i_assets.json_files import read_json, write_json

DECLARED = "synthetic_truth"


@dataclass(frozen=True)
class Declared:
    """What the generator knows: the true figures, each journey's true means, and the faulty rows."""

    truth: dict[str, Any]
    oracle: pl.DataFrame
    dirt: pl.DataFrame

    def save(self, folder: Path) -> None:
        """truth.json, oracle.parquet and dirt.json (an object for each faulty row)"""
        write_json(folder, "truth.json", self.truth)
        write_json(folder, "dirt.json", self.dirt.to_dicts())
        self.oracle.write_parquet(folder / "oracle.parquet")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read all three files."""
        dirt = pl.DataFrame(read_json(folder, "dirt.json"), schema=MANIFEST)
        return cls(read_json(folder, "truth.json"), pl.read_parquet(folder / "oracle.parquet"), dirt)

    def true_means(self, outcome: str, journeys: Iterable[str]) -> np.ndarray | None:
        """The true mean of an outcome of each of these journeys; None where not all of them have one."""
        column = TRUE_MEANS.get(outcome)
        if column not in self.oracle.columns:
            return None
        known = dict(self.oracle.select("patient_journey_id", column).iter_rows())
        means = [known.get(journey) for journey in journeys]
        return None if None in means or not means else np.array(means, dtype=float)
