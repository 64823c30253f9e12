"""Splits, preprocessors and evaluations as they are kept; each saves itself to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import pandas as pd
from pydantic import BeforeValidator

from e2i_assets.contracts.variables import Feature
from e2i_assets.json_files import read_json, to_json, write_json
from e2i_assets.leakage.info_sheet import SheetRow
from e2i_assets.modeling.evaluation.earlier import as_written_now
from e2i_assets.modeling.problems.base import Evaluation
from e2i_assets.modeling.training.identity import fingerprint


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
            "features": [to_json(feature) for feature in self.features],
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

    evaluation: Annotated[Evaluation, BeforeValidator(as_written_now)]
    model_fingerprint: str
    leakage_sheet: tuple[SheetRow, ...] = ()  # empty in evaluations from before there were sheets
