"""What earlier releases wrote: read as it was meant, or refused with what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from e2i_assets.modeling.artifacts import Evaluated
from e2i_assets.modeling.errors import ModelFileError
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.resources.store import ArtifactRefused, ArtifactStore
from e2i_assets_tests.unit.modeling_frames import trained

INTERVAL = {"auc": 0.71, "low": 0.62, "high": 0.8, "standard_error": 0.045}
BEFORE = {
    "evaluation": {
        "fingerprint": "f" * 64,
        "algorithm": "LogisticRegression",
        "metrics": {
            "validation": {"roc_auc": 0.74},
            "test": {"roc_auc": 0.71, "brier": 0.2, "calibration_slope": None},
        },
        "auc_ci": INTERVAL,
        "validation_auc_ci": INTERVAL | {"auc": 0.74, "low": 0.66, "high": 0.82},
        "threshold": 0.4,
        "confusion": {"tn": 50, "fp": 12, "fn": 9, "tp": 21},
        "roc": [[0.0, 0.0], [0.3, 0.7], [1.0, 1.0]],
        "calibration": [{"n": 46, "predicted": 0.2, "observed": 0.25}],
        "n_test": 92,
        "n_validation": 124,
    },
    "model_fingerprint": "f" * 64,
    "leakage_sheet": [],
}


@pytest.mark.parametrize("as_lists", [False, True])
def test_what_test_told_of_a_model_stays_readable(as_lists: bool) -> None:
    """Test opens once for a model: its result cannot be made again."""
    record = json.loads(json.dumps(BEFORE))
    if as_lists:  # as a NamedTuple was written where it stood in the vault
        for name in ("auc_ci", "validation_auc_ci"):
            record["evaluation"][name] = list(record["evaluation"][name].values())
        record["evaluation"]["calibration"] = [[46, 0.2, 0.25]]
    kind = TypeAdapter(Evaluated)
    result = kind.validate_python(record).evaluation
    assert (result.problem_type, result.primary_metric) == ("binary_classification", "roc_auc")
    assert (result.primary("test"), result.interval("test")) == (0.71, (0.62, 0.8))
    assert (result.primary("validation"), result.interval("validation")) == (0.74, (0.66, 0.82))
    assert (result.threshold, result.curves["confusion"]["tp"], result.baseline) == (0.4, 21, None)
    assert all(png.startswith(b"\x89PNG") for png in Binary().plots(result).values())
    written = kind.dump_python(kind.validate_python(record), mode="json")
    assert kind.validate_python(written).evaluation == result


def test_a_model_of_before_says_that_it_is_to_be_trained_again(tmp_path: Path) -> None:
    trained("LogisticRegression").save(tmp_path)
    record = json.loads((tmp_path / "model.json").read_text())
    for name in ("problem_type", "labels", "baseline"):
        del record[name]
    (tmp_path / "model.json").write_text(json.dumps(record))
    with pytest.raises(ModelFileError, match="an earlier release saved this model") as refused:
        TrainedModel.load(tmp_path)
    assert refused.value.next_step == "Materialize the trained model again."


def test_an_artifact_in_another_form_is_refused_with_what_to_do(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Then:
        auc_mean: float

    @dataclass(frozen=True)
    class Now:
        score_mean: float

    store = ArtifactStore(str(tmp_path))
    version = store.write("conversion/model_candidate", "p", Then(0.7))
    with pytest.raises(
        ArtifactRefused, match=r"another release.*Materialize conversion/model_candidate again"
    ):
        store.read("conversion/model_candidate", "p", version, Now)
