"""What only the generator knows, as it is kept beside the data: never loaded as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from e2i_assets.ingest.synthetic.dirt import MANIFEST
from e2i_assets.ingest.synthetic.followup import DRAWN, TRUE_MEANS
from e2i_assets.json_files import read_json, write_json

DECLARED = "synthetic_truth"
SAME_DATA = 0.9
"""Share of outcomes as they were drawn from which on data are those of the truth: some rows may be faulty."""
EFFECT_OF = ("hcp_engaged", "treatment_initiated")
"""The treatment and the outcome of which both potential outcomes are drawn."""


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

    def true_means(
        self, outcome: str, journeys: Iterable[str], observed: Iterable[float]
    ) -> np.ndarray | None:
        """The true mean of an outcome of each of these journeys.

        None where not all of them have one, or where other outcomes were drawn for them: what is generated
        with another seed has the same keys.

        Args:
            observed: the outcome of each journey.
        """
        column = TRUE_MEANS.get(outcome)
        if column not in self.oracle.columns:
            return None
        rows = self._same(outcome, journeys, observed)
        return None if rows is None or rows[column].null_count() else rows[column].to_numpy().astype(float)

    def true_effects(
        self, treatment: str, outcome: str, journeys: Iterable[str], observed: Iterable[float]
    ) -> np.ndarray | None:
        """The true effect of the treatment on each of these journeys, as a difference of probabilities.

        None where the process has no such effect, where not all of them have one, or where other outcomes
        were drawn for them.

        Args:
            observed: the outcome of each journey, missing where it is not known.
        """
        if (treatment, outcome) != EFFECT_OF or not {"p0", "p1"} <= set(self.oracle.columns):
            return None
        rows = self._same(outcome, journeys, observed)
        if rows is None or rows["p0"].null_count() or rows["p1"].null_count():
            return None
        return (rows["p1"] - rows["p0"]).to_numpy().astype(float)

    def _same(self, outcome: str, journeys: Iterable[str], observed: Iterable[float]) -> pl.DataFrame | None:
        """What is known of each of these journeys; None of none, or where other outcomes were drawn."""
        drawn = DRAWN + outcome
        keys = pl.Series("patient_journey_id", list(journeys), pl.String)
        asked = pl.DataFrame([keys, pl.Series("observed", np.asarray(observed, float))])
        rows = asked.join(self.oracle, on="patient_journey_id", how="left", maintain_order="left")
        if rows.is_empty():
            return None
        if drawn in rows.columns and _share_equal(rows["observed"], rows[drawn].cast(pl.Float64)) < SAME_DATA:
            return None
        return rows


def _share_equal(one: pl.Series, other: pl.Series) -> float:
    return float(np.isclose(one.to_numpy(), other.to_numpy(), equal_nan=True).mean())
