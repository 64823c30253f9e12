"""What there is to be told of an installation, as plain JSON types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from e2i_assets.deployment.status import statuses
from e2i_assets.json_files import to_json
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import incidents_of
from e2i_assets.warehouse.queries.registry import models
from e2i_assets.warehouse.table_status import TableStatus, total
from e2i_assets.warehouse.warehouse import Warehouse

INCIDENTS = 20


def data_status(
    tables: Sequence[TableStatus], partitions: Mapping[str, Sequence[TableStatus]], now: dt.datetime
) -> dict[str, Any]:
    """What the tables hold, and how old it is, of everybody and of each partition."""
    return {
        "at": now.isoformat(),
        "tables": [status.document(now) for status in tables],
        "partitions": [
            {"partition": key}
            | {k: v for k, v in total(of).document(now).items() if k != "table"}
            | {"tables": [status.document(now) for status in of]}
            for key, of in partitions.items()
        ],
    }


def deployments(here: Settings, warehouse: Warehouse) -> dict[str, Any]:
    """What answers where, what is wanted and warm, and the newest incidents."""
    return {
        "services": to_json(statuses(here, warehouse)),
        "incidents": to_json(incidents_of(warehouse, INCIDENTS)),
    }


def registered_models(warehouse: Warehouse) -> dict[str, Any]:
    """Every registered version with its stage."""
    versions = [
        {**to_json(version), "stage": stage}
        for model in models(warehouse)
        for version, stage in ((one, model.stages()[one.version]) for one in model.versions)
    ]
    return {"versions": versions}
