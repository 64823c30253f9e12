"""A fitted pipeline in a file, beside the record that says which it is."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2i_assets.modeling.errors import ModelFileError
from e2i_assets.modeling.training.identity import fingerprint

MODEL_FILE = "model.joblib"
RECORD_FILE = "model.json"
FILE_HASH = "model_file_sha256"
"""Key of the record: SHA-256 of the model's file."""


def pickled_pipeline(pipeline: Any) -> bytes:
    """What its file holds. Made when it is trained: predicting may touch an estimator, and change it."""
    import joblib

    buffer = io.BytesIO()
    joblib.dump(pipeline, buffer)
    return buffer.getvalue()


def write_model(folder: Path, pickled: bytes, record: Mapping[str, Any]) -> None:
    """Write `model.joblib` and `model.json` into a folder, which is made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(pickled)
    text = json.dumps({**record, FILE_HASH: hashlib.sha256(pickled).hexdigest()}, indent=2)
    (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")


def read_model(folder: Path) -> tuple[Any, bytes, dict[str, Any]]:
    """The pipeline, its file's content and the record, whose `fingerprint` is the pipeline's.

    Raises:
        ModelFileError: a file is missing or unreadable, or the model is not the recorded one.
    """
    try:
        pickled = (folder / MODEL_FILE).read_bytes()
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{folder}: not a saved model: {error}", "Train it again.") from error
    # What keeps it may know nothing of the exchange, and would let it stand.
    other = f"{folder}: {MODEL_FILE} is not the model that {RECORD_FILE} describes"
    # Compared before anything of the pickle runs.
    if hashlib.sha256(pickled).hexdigest() != record.pop(FILE_HASH, None):
        raise ModelFileError(other)
    import joblib

    pipeline = joblib.load(io.BytesIO(pickled))
    if fingerprint(pipeline) != record["fingerprint"]:
        raise ModelFileError(other)
    return pipeline, pickled, record
