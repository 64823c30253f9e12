"""Artifact classes of stages whose domain results are plain frames or records; each saves itself to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import pandas as pd
import polars as pl
from pydantic import TypeAdapter

from e2i_assets.cohorts.attrition import CohortResult
from e2i_assets.features.feature_set import Feature
from e2i_assets.modeling.evaluation import Evaluation
from e2i_assets.modeling.identity import fingerprint
from e2i_assets.quality.leakage.sheet import SheetRow
from e2i_assets.resources.store import read_json, write_json


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
        write_json(folder, "result.json", TypeAdapter(CohortResult).dump_python(self.result, mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read all three files."""
        members = pl.read_parquet(folder / "members.parquet")
        result = TypeAdapter(CohortResult).validate_python(read_json(folder, "result.json"))
        return cls(members, result, read_json(folder, "raw_versions.json"))


@dataclass(frozen=True)
class Splits:
    """Train and validation patients, the split of everybody, and the seals of test and holdout, which the
    vault keeps.

    `assigned` has patient_id and split of every patient, and `alike`, the group of patients with equal rows
    (null for most), of test and holdout nothing more. `train` and `validation` have patient_journey_id,
    patient_id, index_date, the features and the outcomes.
    """

    SEALED: ClassVar = ("assigned.parquet",)
    train: pd.DataFrame
    validation: pd.DataFrame
    assigned: pd.DataFrame
    features: tuple[Feature, ...]
    outcomes: tuple[str, ...]
    seals: Mapping[str, str]
    counts: Mapping[str, int]

    def save(self, folder: Path) -> None:
        """train.parquet, validation.parquet, assigned.parquet and splits.json"""
        self.train.to_parquet(folder / "train.parquet", index=False)
        self.validation.to_parquet(folder / "validation.parquet", index=False)
        self.assigned.to_parquet(folder / "assigned.parquet", index=False)
        record = {
            "features": [asdict(feature) for feature in self.features],
            "outcomes": list(self.outcomes),
            "seals": dict(self.seals),
            "counts": dict(self.counts),
        }
        write_json(folder, "splits.json", record)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read all files. The first release kept no assignments: those of train and validation are known."""
        record = read_json(folder, "splits.json")
        train = pd.read_parquet(folder / "train.parquet")
        validation = pd.read_parquet(folder / "validation.parquet")
        if (folder / "assigned.parquet").exists():
            assigned = pd.read_parquet(folder / "assigned.parquet")
        else:
            known = pd.concat([train.assign(split="train"), validation.assign(split="validation")])
            assigned = known[["patient_id", "split"]].drop_duplicates("patient_id")
        return cls(
            train=train,
            validation=validation,
            assigned=assigned,
            features=tuple(Feature.from_record(feature) for feature in record["features"]),
            outcomes=tuple(record["outcomes"]),
            seals=record["seals"],
            counts=record["counts"],
        )


@dataclass(frozen=True)
class FittedPreprocessor:
    """The preprocessor, fitted on train."""

    preprocessor: Any
    features: tuple[str, ...]

    def identity(self) -> str:
        """SHA-256, in hex, of what was learnt and of which features."""
        return fingerprint([self.preprocessor, self.features])

    def save(self, folder: Path) -> None:
        """preprocessor.joblib and features.json"""
        import joblib

        joblib.dump(self.preprocessor, folder / "preprocessor.joblib")
        write_json(folder, "features.json", list(self.features))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read both files."""
        import joblib

        return cls(joblib.load(folder / "preprocessor.joblib"), tuple(read_json(folder, "features.json")))


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of one model, on the test split opened once, and what protects it from leakage."""

    evaluation: Evaluation
    model_fingerprint: str
    leakage_sheet: tuple[SheetRow, ...] = ()  # empty in evaluations from before there were sheets


@dataclass(frozen=True)
class BundleRef:
    """A Bento bundle by its tag; the bundle itself is in BentoML's store."""

    tag: str
    service_name: str
    model_fingerprint: str
