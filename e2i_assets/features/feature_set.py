"""The feature set: a frame for models, a description of each column, and the outcomes kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.json_files import read_json, to_json, write_json

KEYS = ("patient_journey_id", "patient_id", "index_date")


@dataclass(frozen=True)
class FeatureSet:
    """Features of a cohort.

    Attributes:
        frame: patient_journey_id, patient_id, index_date (empty where the partition has none), then one
            column per feature: numeric and boolean as float64 (NaN for null), categorical as text (None for
            null).
        outcomes: patient_journey_id and the outcome columns, rows as in `frame`; boolean as 0, 1 or NaN,
            classes by name as text (None for null).
        dropped: column to the reason why it is no feature.
    """

    SEALED: ClassVar = ("features.parquet", "outcomes.parquet")
    frame: pd.DataFrame
    features: tuple[Feature, ...]
    outcomes: pd.DataFrame
    dropped: Mapping[str, str]

    def save(self, folder: Path) -> None:
        """Write features.parquet, outcomes.parquet and features.json; equal sets give equal bytes."""
        self.frame.to_parquet(folder / "features.parquet", index=False)
        self.outcomes.to_parquet(folder / "outcomes.parquet", index=False)
        record = {"features": [to_json(f) for f in self.features], "dropped": dict(self.dropped)}
        write_json(folder, "features.json", record)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        record = read_json(folder, "features.json")
        return cls(
            frame=pd.read_parquet(folder / "features.parquet"),
            features=tuple(Feature.from_record(f) for f in record["features"]),
            outcomes=pd.read_parquet(folder / "outcomes.parquet"),
            dropped=record["dropped"],
        )
