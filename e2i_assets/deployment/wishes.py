"""What can be asked of deployments: deploy, wait until it answers, look."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from e2i_assets.deployment.releases import (
    SERVICES,
    DeploymentError,
    Member,
    Past,
    answering_in,
    compose,
    members_from,
    release_of,
)
from e2i_assets.registry.ledger import Version
from e2i_assets.warehouse.failures import DriverError, database_failure
from e2i_assets.warehouse.queries.deployments import (
    Release,
    history,
    is_reconciled,
    release_row,
    releases,
)
from e2i_assets.warehouse.queries.registry import served_versions

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

POLL_S = 0.2
WITHIN = 300.0
"""Seconds that a release may take to answer: build, start, golden requests, on a busy machine."""


def require_reconciler(warehouse: Warehouse) -> None:
    """Refuse where nobody would do what is asked.

    Raises:
        DeploymentError: no reconciler runs.
    """
    if not is_reconciled(warehouse):
        raise DeploymentError(
            "no reconciler runs, so nothing would be started or switched",
            "Start it: `e2i up` with everything, or `e2i serve` alone; then do this again.",
            code="no_reconciler",
        )


def registered(warehouse: Warehouse) -> dict[str, list[Member]]:
    """Service to the versions that the registry says are to be served."""
    of_service: dict[str, list[Member]] = {service: [] for service in SERVICES}
    for served in served_versions(warehouse):
        of_service[served.version.service].append(member(served.version, served.stage, served.role))
    return of_service


def member(version: Version, stage: str, role: str) -> Member:
    """A registered version as a member of a release."""
    return Member(
        version.model_name, version.version, version.bento_tag, version.files_hash, stage,
        "shadow" if role == "shadow" else "active", version.scope, version.partition,
        version.model_fingerprint,
    )  # fmt: skip


def deploy(
    warehouse: Warehouse, models: Collection[str] | None, *, by: str, run_id: str | None = None
) -> dict[str, Release]:
    """Ask for the registry's versions; gives each service that is concerned its release.

    A service that the registry has nothing for any more gets none, and stops.

    Args:
        models: those that are asked for by name, also where their release failed before; None for all. One
            that answers and is not registered to any more is taken out.

    Raises:
        DeploymentError: one of them neither is registered nor answers, or nothing is.
        WarehouseUnavailable: the database cannot be reached.
    """
    served = registered(warehouse)
    names = {service: {one.model_name for one in of} for service, of in served.items()}
    for release in history(warehouse):
        if release.status in ("wanted", "active"):
            names[release.service_name] |= {one.model_name for one in members_from(release.members)}
    known = set[str]().union(*names.values())
    if unknown := sorted(set(models or ()) - known) or not known:
        what = ", ".join(unknown) if isinstance(unknown, list) else "a model"
        raise DeploymentError(
            f"the registry has no version of {what} to serve",
            "`e2i models list` shows every version; materialize registered_model first.",
            code="nothing_to_deploy",
        )
    wanted = known if models is None else set(models)
    asked = {
        service: _ask(warehouse, service, served[service], models or (), by, run_id)
        for service, of in names.items()
        if wanted & of
    }
    return {service: release for service, release in asked.items() if release is not None}


def _ask(
    warehouse: Warehouse, service: str, served: Sequence[Member], asked: Collection[str], by: str,
    run_id: str | None,
) -> Release | None:  # fmt: skip
    with releases(warehouse, service) as records:
        state = records.state()
        now = state.wanted or state.active
        past = [Past(members_from(one.members), one.status) for one in records.history()]
        members = compose(served, past, asked, members_from(now.members) if now else ())
        if not members:
            records.want_nothing(f"{by} deployed, and the registry has nothing to serve")
            return None
        return records.ask(
            release_of(members), [asdict(one) for one in members], cause="deploy", asked_by=by, run_id=run_id
        )


def answering(warehouse: Warehouse, model_name: str) -> tuple[Release, Member] | None:
    """The version of a model that answers, and its release; None where none does."""
    for release in history(warehouse):
        members = members_from(release.members) if release.status == "active" else ()
        if (answers := answering_in(members).get(model_name)) is not None:
            return release, answers
    return None


def await_release(warehouse: Warehouse, asked: Release, within: float = WITHIN) -> Release:
    """Wait until a release that was asked for answers; gives its row as it is then.

    A database that goes away is waited for as well: what was asked for is in it.

    Raises:
        DeploymentError: it failed, another was asked for meanwhile, no reconciler runs, it takes too long, or
            the database did not come back in that time.
    """
    title = f"release {asked.release} of {asked.service_name}"
    deadline, away = time.monotonic() + within, None
    while time.monotonic() < deadline:
        try:
            now, away = release_row(warehouse, asked.id), None
            if _answers(now, title):
                return now
            require_reconciler(warehouse)
        except DriverError as error:
            if (away := database_failure(error)) is None:
                raise
        time.sleep(POLL_S)
    if away:
        raise DeploymentError(
            f"whether {title} answers is not known: the database failed: {away}",
            "Once it answers again: `e2i deploy status`. The reconciler goes on with what was asked for.",
            code="database_failed",
        )
    raise DeploymentError(
        f"{title} did not answer within {within:.0f} s",
        "The reconciler goes on with it: `e2i deploy status`, and the logs below E2I_HOME/serving.",
        code="too_slow",
    )


def _answers(now: Release, title: str) -> bool:
    """Whether a release does, or may come to.

    Raises:
        DeploymentError: it never will.
    """
    if now.status == "failed":
        raise DeploymentError(
            f"{title} does not answer: {now.reason}",
            "What answered before goes on. Mend what is named, register the model again, and deploy it.",
            code="release_failed",
        )
    if now.status not in ("wanted", "active"):
        how = "answered, and another took over" if now.answered_at else "was given up for another"
        raise DeploymentError(f"{title} {how} meanwhile", code="another_asked_for")
    return now.status == "active"
