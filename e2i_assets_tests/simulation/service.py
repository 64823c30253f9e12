"""Requests to what the registry says is served, through the service's own application, without a socket."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.testclient import TestClient

from e2i_assets.features import FeatureSet
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.serving.server.model import Model
from e2i_assets.serving.server.release import read_release
from e2i_assets.serving.server.routes import routes
from e2i_assets.serving.server.running import LOG_URL, Service
from e2i_assets.settings import Settings
from e2i_assets.warehouse.postgres import url_for
from e2i_assets.warehouse.queries.registry import ServedVersion, served_versions
from e2i_assets.warehouse.warehouse import Warehouse


def ask(here: Settings, warehouse: Warehouse, partition: str, journeys: Collection[str], most: int) -> int:
    """Ask for predictions of these patients, as far as they are in the cohort; how many were asked for.

    Args:
        most: requests.
    """
    served = [one for one in served_versions(warehouse) if one.version.partition == partition]
    if not served:
        return 0
    os.environ[LOG_URL] = url_for(here, "e2i", "")
    models = [_model(here, one) for one in served]
    rows = _rows(here, partition, journeys, models[0].schema["features"])[:most]
    active, shadows = ([one for one in models if one.role == role] for role in ("active", "shadow"))
    service = Service(models[0].schema["service"], "simulated", active, shadows)
    application = Starlette(routes=routes(effects=False))
    application.state.service = service
    client = TestClient(application)
    for journey, features in rows:
        answer = client.post("/predict", json={"features": features, "patient_journey_id": journey})
        answer.raise_for_status()
    service.close()
    return len(rows)


def _model(here: Settings, served: ServedVersion) -> Model:
    """A bundle as the registry knows it."""
    version = served.version
    folder = here.bento_home / "bentos" / version.bento_tag.replace(":", "/") / "src"
    (member,) = read_release(folder)["members"]
    registered = {"version": str(version.version), "stage": served.stage, "role": served.role}
    return Model(member | registered, folder)


def _rows(
    here: Settings, partition: str, journeys: Collection[str], features: Sequence[Mapping[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """Journey and what a request names of it."""
    store = open_store(here)
    current = store.current("features", partition)
    assert current is not None
    frame = store.read("features", partition, current.version, FeatureSet).frame
    frame = frame[frame["patient_journey_id"].isin(journeys)]
    kinds = {one["name"]: one["kind"] for one in features}
    return [
        (row["patient_journey_id"], {name: _sent(row[name], kind) for name, kind in kinds.items()})
        for row in frame.to_dict("records")
    ]


def _sent(value: Any, kind: str) -> Any:
    if pd.isna(value):
        return None
    return bool(value) if kind == "boolean" else value
