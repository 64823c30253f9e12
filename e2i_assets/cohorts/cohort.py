"""A cohort as it is kept: its members, how they became so, and from which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd
import polars as pl

from e2i_assets.cohorts.attrition import CohortResult
from e2i_assets.json_files import from_json, read_json, to_json, write_json


@dataclass(frozen=True)
class Cohort:
    """Eligible journeys, how they became so, and the raw versions that they were drawn from."""

    SEALED: ClassVar = ("members.parquet",)
    members: pl.DataFrame
    result: CohortResult
    raw_versions: Mapping[str, str]

    def save(self, folder: Path) -> None:
        """members.parquet, result.json and raw_versions.json"""
        self.members.write_parquet(folder / "members.parquet")
        write_json(folder, "raw_versions.json", dict(self.raw_versions))
        write_json(folder, "result.json", to_json(self.result))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read all three files."""
        members = pl.read_parquet(folder / "members.parquet")
        result = from_json(CohortResult, read_json(folder, "result.json"))
        return cls(members, result, read_json(folder, "raw_versions.json"))


def clusters_of(journeys: pd.Series, members: pl.DataFrame, column: str) -> pd.Series:
    """What the members of a cohort share in one of its columns, such as the HCP, by journey.

    Args:
        journeys: `patient_journey_id` of rows; one of whom nothing is known is a cluster by itself.
    """
    known = dict(members.select("patient_journey_id", column).drop_nulls().iter_rows())
    clusters = journeys.map(known)
    return clusters.where(clusters.notna(), "alone " + journeys)
