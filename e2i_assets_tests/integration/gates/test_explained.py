"""What a published model has learnt: pictures of groups in MLflow, and one patient's row on request alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from e2i_assets.assets.attribute_names import MLFLOW_RUN
from e2i_assets.cli.main import app
from e2i_assets.cli.models_data import NotShown
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import PARTITION


def asked(patient: str, *more: str) -> Result:
    return CliRunner().invoke(
        app, ["models", "explain", "conversion", PARTITION, "--patient", patient, *more]
    )


def splits(here: Settings) -> Splits:
    store = open_store(here)
    current = store.current("splits", PARTITION)
    assert current
    return store.read("splits", PARTITION, current.version, Splits)


def files_with(folder: Path, text: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_a_patient_of_train_or_validation_is_explained_and_nobody_else(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("e2i_assets.cli.session.settings", lambda: here)
    published = splits(here)
    for frame in (published.train, published.validation):
        patient = frame["patient_id"].iloc[0]
        known = set(files_with(here.home_dir, patient))
        answer = asked(patient, "--json")
        assert answer.exit_code == 0, answer.output
        (row,) = json.loads(answer.stdout)["rows"]
        effects = sum(effect for (effect,) in row["effects"].values())
        assert set(row["effects"]) == set(row["values"])
        if row["scale"] == "probability":
            assert abs(row["base"][0] + effects - row["prediction"][0]) < 1e-6
        assert "what moves the score from its base" in asked(patient).stdout
        assert set(files_with(here.home_dir, patient)) == known
    sealed = published.assigned.loc[published.assigned["split"].isin(["test", "holdout"])]
    refusals = [asked(str(patient)).exception for patient in (*sealed["patient_id"].head(2), "nobody")]
    assert {type(refusal) for refusal in refusals} == {NotShown}
    assert len({str(refusal) for refusal in refusals}) == 1


def test_what_was_learnt_lies_in_mlflow_and_names_no_patient(here: Settings) -> None:
    trained = open_store(here).current("conversion/trained_model", PARTITION)
    assert trained
    (record,) = here.home_dir.rglob(f"{trained.attributes[MLFLOW_RUN]}/artifacts/shap/explanation.json")
    names = {p.name for p in record.parent.iterdir()}
    assert {"explanation.json", "importance.png", "dependence.png"} <= names
    document = json.loads(record.read_text())
    features = set(splits(here).train.columns)
    assert set(document["importance"]) <= features
    patients = pd.concat([splits(here).train, splits(here).validation])["patient_id"]
    assert not [patient for patient in patients if patient in record.read_text()]
    assert all(group["rows"] >= 5 for groups in document["groups"].values() for group in groups)
