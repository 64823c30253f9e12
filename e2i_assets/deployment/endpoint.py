"""Predictions of a model that is deployed, asked of the address that everybody else asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from e2i_assets.contracts.variables import Feature
from e2i_assets.deployment.golden import PROBE
from e2i_assets.deployment.releases import DeploymentError

BATCH = 500
"""Rows of one request."""


def ask(
    url: str, model_name: str, version: int, rows: pd.DataFrame, features: Sequence[Feature]
) -> list[Mapping[str, Any]]:
    """The answers of one version of a model to rows, in batches in their order; no log has them.

    Args:
        url: of the service, which is the router's.
        rows: with a column for each feature.

    Raises:
        DeploymentError: it does not answer, refuses a row, or another version answers.
    """
    import httpx

    answers = []
    with httpx.Client(timeout=60, trust_env=False) as client:
        for batch in _batches(rows, features):
            try:
                response = client.post(
                    f"{url}/{model_name}/predict_batch", json={"features_list": batch}, headers=PROBE
                )
            except httpx.TransportError as error:
                raise DeploymentError(f"{url} does not answer ({type(error).__name__})") from error
            if response.status_code != 200:
                raise DeploymentError(f"{model_name} at {url} answers with status {response.status_code}")
            answer = response.json()
            if int(answer["_metadata"]["version"]) != version:
                raise DeploymentError(
                    f"version {answer['_metadata']['version']} of {model_name} answers, not {version}",
                    "Materialize its deployment again, while nobody else changes it.",
                )
            answers.append(answer)
    return answers


def _batches(rows: pd.DataFrame, features: Sequence[Feature]) -> Iterator[list[dict[str, Any]]]:
    names = [feature.name for feature in features]
    flags = {feature.name for feature in features if feature.kind == "boolean"}
    records = rows[names].to_dict("records")
    for start in range(0, len(records), BATCH):
        yield [
            {str(name): _sent(value, name in flags) for name, value in record.items()}
            for record in records[start : start + BATCH]
        ]


def _sent(value: Any, flag: bool) -> Any:
    if pd.isna(value):
        return None
    return bool(value) if flag else value
