"""Rollback: the ledger and the wish for the earlier release, in one transaction.

The registry says what is served, so that what was rolled back is not deployed again until somebody promotes
it. The registry's lock is not waited for, as whoever tells MLflow holds it: of two who add to a ledger at
once its primary key refuses one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from e2i_assets.deployment.releases import (
    ANSWERED,
    DeploymentError,
    Member,
    Members,
    answering_in,
    members_from,
    release_of,
    taken_back,
    with_version,
)
from e2i_assets.deployment.wishes import answering, member
from e2i_assets.file_hashes import hash_of, hashes
from e2i_assets.registry.ledger import Version, version_number
from e2i_assets.registry.rollback import rolled_back
from e2i_assets.registry.stages import ARCHIVED
from e2i_assets.settings import Settings
from e2i_assets.storage.bundles import fetch
from e2i_assets.warehouse.queries.deployments import Release, Releases, State, releases

if TYPE_CHECKING:
    from e2i_assets.warehouse.warehouse import Warehouse

AUTOMATIC = "e2i"


@dataclass(frozen=True)
class RolledBack:
    """A rollback that was asked for.

    Attributes:
        release: that is to answer.
        models: whose ledger has it.
    """

    release: Release
    models: tuple[str, ...] = ()


def roll_back(
    warehouse: Warehouse,
    here: Settings,
    model_name: str,
    target_version: int | str | None,
    *,
    by: str,
    reason: str | None = None,
) -> RolledBack:
    """Ask for an earlier version of a model, and say so in its ledger.

    Args:
        target_version: a version that answered before; None for the whole release before.
        by: who rolls back.
        reason: why.

    Raises:
        DeploymentError: the model does not answer, or there is nothing to go back to.
        RegistryError: there is no such version, or the registry does not let it answer.
    """
    answering_now = answering(warehouse, model_name)
    if answering_now is None:
        raise _not_deployed(model_name)
    number = None if target_version is None else version_number(target_version)
    why = reason or "no reason given"
    with releases(warehouse, answering_now[0].service_name) as records:
        state = records.state()
        if number is not None:
            return _to_version(records, state, here, model_name, number, by, why)
        if (under_way := _under_way(state, model_name)) is not None:
            return under_way
        _require_new(state, model_name)
        return to_release_before(records, state, by=by, reason=why, cause="rollback")


def to_release_before(records: Releases, state: State, *, by: str, reason: str, cause: str) -> RolledBack:
    """Ask for the release before; every version that the present one brought is rolled back.

    Raises:
        RegistryError: the registry does not let a version of it answer.
    """
    assert state.previous is not None
    before = members_from(state.previous.members)
    changes = taken_back(_current(state), before)
    _enter(records, changes, by, reason)
    members = tuple(one for one in before if one.role == "shadow" or _stage(records, *one.number) != ARCHIVED)
    return _asked(records, members, changes, by, reason, cause)


def _not_deployed(model_name: str) -> DeploymentError:
    return DeploymentError(
        f"no version of {model_name!r} is deployed",
        "`e2i deploy status` shows what answers; `e2i deploy run` deploys.",
        code="not_deployed",
    )


def _under_way(state: State, model_name: str) -> RolledBack | None:
    """The rollback of a model that somebody else asked for a moment ago.

    Raises:
        DeploymentError: it is one of other models.
    """
    if state.wanted is None or state.active is None or state.wanted.cause == "deploy":
        return None
    changes = taken_back(members_from(state.active.members), members_from(state.wanted.members))
    if model_name not in {one.model_name for one in changes}:
        raise DeploymentError(
            f"{state.wanted.asked_by} rolls other models of {state.wanted.service_name} back just now",
            "Ask again in a moment; `e2i deploy status` shows when it is done.",
            code="rollback_under_way",
        )
    return RolledBack(state.wanted)


def _current(state: State) -> Members:
    release = state.wanted or state.active
    return members_from(release.members) if release else ()


def _require_new(state: State, model_name: str) -> None:
    """Check that the release before is one to which a model can go back.

    Raises:
        DeploymentError: there is none, it has the same version, or what answers was rolled back to already:
            of two people who roll back at once, the second does not go back twice as far.
    """
    if state.wanted is None and state.active and state.active.cause != "deploy":
        raise DeploymentError(
            f"{state.active.asked_by} rolled back to the release that answers for {model_name} already",
            "To go back further, name the version; `e2i deploy history` shows what answered.",
            code="rolled_back_already",
        )
    if state.previous is None:
        raise DeploymentError(
            f"there is no release before the one that answers for {model_name}",
            "`e2i models list` shows its versions.",
            code="nothing_before",
        )
    changes = taken_back(_current(state), members_from(state.previous.members))
    if model_name not in {one.model_name for one in changes}:
        raise DeploymentError(
            f"{model_name} is the same in the release before",
            "Name the version to go back to; `e2i deploy history` shows what answered.",
            code="same_before",
        )


def _to_version(
    records: Releases, state: State, here: Settings, model_name: str, number: int, by: str, reason: str
) -> RolledBack:
    current = _current(state)
    target = records.ledger.model(model_name).version(number)
    if (now := answering_in(current).get(model_name)) is None:
        raise _not_deployed(model_name)  # it is being taken out just now
    if now.version == number and state.wanted:
        return RolledBack(state.wanted)
    if now.version == number:
        raise DeploymentError(f"{target.title} answers already", code="answers_already")
    if not _answered(records, target):
        raise DeploymentError(
            f"{target.title} never answered",
            "Promote it (`e2i models promote`) and deploy it (`e2i deploy run`).",
            code="never_answered",
        )
    _enter(records, {now: number}, by, reason)
    members = with_version(current, member(target, _stage(records, model_name, number), "active"))
    before = members_from(state.previous.members) if state.previous else ()
    if {one.number for one in answering_in(before).values()} == {
        one.number for one in answering_in(members).values()
    }:
        members = before  # it is warm, and takes over at once
    else:
        _require_bundle(here, target)
    return _asked(records, members, {now}, by, reason, "rollback")


def _answered(records: Releases, version: Version) -> bool:
    past = [one for one in records.history() if one.status in ANSWERED]
    return any(
        (one["model_name"], one["version"], one["role"]) == (version.model_name, version.version, "active")
        for release in past
        for one in release.members
    )


def _require_bundle(here: Settings, version: Version) -> None:
    folder = fetch(here, version.bento_tag, version.files_hash)
    if hash_of(hashes(folder)) != version.files_hash:
        raise DeploymentError(
            f"the bundle of {version.title} is not there as it was registered: {folder}",
            "Roll back to another version; `e2i deploy history` shows what answered.",
            code="bundle_changed",
        )


def _enter(records: Releases, changes: Mapping[Member, int | None], by: str, reason: str) -> None:
    """Say in each ledger which version is served again."""
    for now, target in changes.items():
        model = records.ledger.model(now.model_name)
        for entry in rolled_back(model, now.version, target, by=by, note=reason, at=records.ledger.now()):
            records.ledger.append(entry)


def _stage(records: Releases, model_name: str, version: int) -> str:
    return records.ledger.model(model_name).stages()[version]


def _asked(
    records: Releases, members: Members, changes: Iterable[Member], by: str, reason: str, cause: str
) -> RolledBack:
    documents = [asdict(one) for one in members]
    release = records.ask(release_of(members), documents, cause=cause, asked_by=by, reason=reason)
    return RolledBack(release, tuple(sorted(one.model_name for one in changes)))
