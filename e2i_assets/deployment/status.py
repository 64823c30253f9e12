"""What there is to see of a service: what is on record, and what runs on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from e2i_assets.deployment.releases import SERVICES
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.deployments import Release, is_reconciled, releases
from e2i_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class ServiceStatus:
    """A service.

    Attributes:
        url: where it is asked.
        reconciled: whether a reconciler looks after it.
        wanted, active, previous: releases to be brought up, that answers, and to go back to.
        slots: what runs in blue and green, as the reconciler of this home wrote it down last.
    """

    service_name: str
    url: str
    reconciled: bool
    wanted: Release | None
    active: Release | None
    previous: Release | None
    slots: dict[str, dict[str, Any]]


def statuses(here: Settings, warehouse: Warehouse) -> list[ServiceStatus]:
    """Every service."""
    reconciled = is_reconciled(warehouse)
    statuses_of = []
    for service in SERVICES:
        with releases(warehouse, service) as records:
            state = records.state()
        url = here.service_url(service)
        statuses_of.append(
            ServiceStatus(
                service, url, reconciled, state.wanted, state.active, state.previous, slots_of(here, service)
            )
        )
    return statuses_of


def slots_of(here: Settings, service: str) -> dict[str, dict[str, Any]]:
    """What runs in blue and green of a service, as the reconciler of this home wrote it down last."""
    folder = here.serving_dir / service
    try:
        noted = json.loads((folder / "slots.json").read_text())
    except FileNotFoundError:
        return {}
    return {
        name: {
            "release": facts["release"],
            "phase": facts["phase"],
            "active": (folder / f"{name}.active").exists(),
            "pid": facts["family"][0][0] if facts["family"] else None,
            "refusal": facts["refusal"],
        }
        for name, facts in noted.items()
    }
