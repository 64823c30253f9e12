"""What can be asked of deployments: deploy, roll back, wait until it answers, look."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from e2i_assets.deployment.releases import (
    SERVICES,
    DeploymentError,
    Member,
    Members,
    Past,
    compose,
    members_from,
    release_of,
    with_version,
)
from e2i_assets.registry.ledger import Version, version_number
from e2i_assets.warehouse.queries.deployments import (
    Release,
    State,
    history,
    is_reconciled,
    releases,
)
from e2i_assets.warehouse.queries.registry import model_of, served_versions

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

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
    found: dict[str, list[Member]] = {service: [] for service in SERVICES}
    for served in served_versions(warehouse):
        found[served.version.service].append(member(served.version, served.stage, served.role))
    return found


def member(version: Version, stage: str, role: str) -> Member:
    """A registered version as a member of a release."""
    return Member(
        version.model_name, version.version, version.bento_tag, version.files_hash, stage,
        "shadow" if role == "shadow" else "active", version.scope, version.partition,
        version.model_fingerprint,
    )  # fmt: skip


def deploy(
    warehouse: Warehouse, models: Collection[str] | None, *, by: str, run_id: str | None = None
) -> dict[str, str]:
    """Ask for the registry's versions; gives each service that is concerned its release.

    Args:
        models: those that are asked for by name, also where they were rolled back before; None for all.

    Raises:
        DeploymentError: one of them is not registered, or nothing is.
        WarehouseUnavailable: the database cannot be reached.
    """
    served = registered(warehouse)
    known = {one.model_name for members in served.values() for one in members}
    if unknown := sorted(set(models or ()) - known) or not known:
        what = ", ".join(unknown) if isinstance(unknown, list) else "a model"
        raise DeploymentError(
            f"the registry has no version of {what} to serve",
            "`e2i models list` shows every version; materialize registered_model first.",
            code="nothing_to_deploy",
        )
    wanted = known if models is None else set(models)
    concerned = [name for name, of in served.items() if wanted & {one.model_name for one in of}]
    named = models or ()
    return {service: _ask(warehouse, service, served[service], named, by, run_id) for service in concerned}


def _ask(
    warehouse: Warehouse, service: str, served: Sequence[Member], asked: Collection[str], by: str,
    run_id: str | None,
) -> str:  # fmt: skip
    with releases(warehouse, service) as records:
        state = records.state()
        now = state.wanted or state.active
        past = [Past(members_from(one.members), one.status) for one in records.history()]
        members = compose(served, past, asked, members_from(now.members) if now else ())
        release = release_of(members)
        records.ask(release, [asdict(one) for one in members], cause="deploy", asked_by=by, run_id=run_id)
    return release


def roll_back(
    warehouse: Warehouse, model_name: str, target_version: int | str | None, *, by: str
) -> tuple[str, str]:
    """Ask for an earlier version of a model; gives the service and its release.

    Args:
        target_version: a registered version; None for the whole release before.

    Raises:
        DeploymentError: the model does not answer, or there is nothing to go back to.
        RegistryError: there is no such version.
    """
    service, now = _answering(warehouse, model_name)
    number = None if target_version is None else version_number(target_version)
    target = None
    if number is not None:
        model = model_of(warehouse, model_name)
        version = model.version(number)
        target = member(version, model.stages()[version.version], "active")
    with releases(warehouse, service) as records:
        state = records.state()
        members = _rolled_back(state, now, target)
        release = release_of(members)
        records.ask(release, [asdict(one) for one in members], cause="rollback", asked_by=by)
    return service, release


def _rolled_back(state: State, now: Member, target: Member | None) -> Members:
    before = members_from(state.previous.members) if state.previous else None
    if target is None:
        if before is None:
            raise DeploymentError(
                f"there is no release before the one that answers for {now.model_name}",
                "Name the version to go back to; `e2i models list` shows them.",
                code="nothing_before",
            )
        return before
    if target.number == now.number:
        raise DeploymentError(
            f"{target.model_name} version {target.version} answers already", code="answers_already"
        )
    # The release that is warm takes over at once, where it differs in this model alone.
    assert state.active is not None
    members = with_version(members_from(state.active.members), target)
    if before and {one.number for one in before} == {one.number for one in members}:
        return before
    return members


def answering(warehouse: Warehouse, model_name: str) -> Member | None:
    """The version of a model that answers; None where none does."""
    found = _found(warehouse, model_name)
    return found[1] if found else None


def _answering(warehouse: Warehouse, model_name: str) -> tuple[str, Member]:
    if (found := _found(warehouse, model_name)) is None:
        raise DeploymentError(
            f"no version of {model_name!r} is deployed",
            "`e2i deploy status` shows what answers; `e2i deploy run` deploys.",
            code="not_deployed",
        )
    return found


def _found(warehouse: Warehouse, model_name: str) -> tuple[str, Member] | None:
    for release in history(warehouse):
        if release.status == "active":
            for one in members_from(release.members):
                if one.model_name == model_name and one.role == "active":
                    return release.service_name, one
    return None


def await_release(warehouse: Warehouse, service: str, release: str, within: float = WITHIN) -> Release:
    """Wait until a release answers.

    Raises:
        DeploymentError: it failed, another was asked for meanwhile, no reconciler runs, or it takes too long.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        newest = next((one for one in history(warehouse, service) if one.release == release), None)
        if newest is None or newest.status in ("superseded", "replaced", "rolled_back"):
            raise DeploymentError(f"another release than {release} of {service} was asked for meanwhile")
        if newest.status == "active":
            return newest
        if newest.status == "failed":
            raise DeploymentError(
                f"release {release} of {service} does not answer: {newest.reason}",
                "What answered before goes on. Mend what is named, register the model again, and deploy it.",
                code="release_failed",
            )
        require_reconciler(warehouse)
        time.sleep(0.2)
    raise DeploymentError(
        f"release {release} of {service} did not answer within {within:.0f} s",
        "The reconciler goes on with it: `e2i deploy status`, and the logs below E2I_HOME/serving.",
        code="too_slow",
    )
