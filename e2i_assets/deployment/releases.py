"""Which model versions a service is to answer with: pure, of the registry and of what became of releases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from e2i_assets.errors import E2IError
from e2i_assets.json_files import json_hash

ANSWERED = ("active", "replaced", "rolled_back")
"""Status of a release that answers, or did."""
SERVICES = ("classification-service", "regression-service", "causal-service")


class DeploymentError(E2IError, RuntimeError):
    """A release that cannot be asked for, or that did not come to answer."""

    code = "deployment"
    next_step = "`e2i deploy status` shows what answers."
    exit_code = 1


@dataclass(frozen=True)
class Member:
    """A registered version in a release.

    Attributes:
        files_hash: of its bundle's files; nothing else is loaded.
        stage: of the registry, when the release was asked for.
        role: `active` answers, `shadow` is scored beside it.
    """

    model_name: str
    version: int
    bento_tag: str
    files_hash: str
    stage: str
    role: Literal["active", "shadow"]
    scope: str
    partition: str
    model_fingerprint: str

    @property
    def number(self) -> tuple[str, int]:
        """What tells it from every other version."""
        return self.model_name, self.version


Members = tuple[Member, ...]


def members_from(documents: Iterable[Mapping[str, Any]]) -> Members:
    """The members of a release on record."""
    return tuple(Member(**document) for document in documents)


def release_of(members: Iterable[Member]) -> str:
    """The release that has these members, by their content: asked for twice, it is the same."""
    return "r" + json_hash(sorted((asdict(one) for one in members), key=str))[:12]


@dataclass(frozen=True)
class Past:
    """A release that was asked for, and what became of it (`warehouse.deployment_records.STATUSES`)."""

    members: Members
    status: str


def compose(
    registered: Sequence[Member], history: Sequence[Past], asked: Collection[str], current: Members
) -> Members:
    """Members of the release that the registry asks for.

    A version whose release failed waits until its model is asked for by name; until then what answers for
    that model now goes on. What was rolled back the registry does not ask for.

    Args:
        registered: versions of the service that the registry says are to be served.
        history: releases of the service, in the order in which they were asked for.
        asked: names of models that somebody wants in the registry's version.
        current: members of the release that answers now.
    """
    avoided = _failed(history)
    chosen = []
    for member in registered:
        if member.number in avoided and member.model_name not in asked:
            chosen += [one for one in current if one.model_name == member.model_name and one not in chosen]
        else:
            chosen.append(member)
    return _in_order(_with_answering(chosen))


def _failed(history: Sequence[Past]) -> set[tuple[str, int]]:
    """Versions of releases that failed; not those that answered in another."""
    failed: set[tuple[str, int]] = set()
    good: set[tuple[str, int]] = set()
    for past in history:
        numbers = {member.number for member in past.members}
        if past.status == "failed":
            failed |= numbers
        elif past.status in ANSWERED:
            good |= numbers
    return failed - good


def _with_answering(chosen: Sequence[Member]) -> list[Member]:
    """A shadow is scored beside a version that answers, never alone."""
    answering = {one.model_name for one in chosen if one.role == "active"}
    return [one for one in chosen if one.model_name in answering]


def _in_order(members: Iterable[Member]) -> Members:
    return tuple(sorted(members, key=lambda one: (one.model_name, one.role, one.version)))


def with_version(members: Members, target: Member) -> Members:
    """A release with another version of one of its models, which answers."""
    others = [one for one in members if one.model_name != target.model_name]
    return _in_order([*others, replace(target, role="active")])


def answering_in(members: Iterable[Member]) -> dict[str, Member]:
    """Model to the version that answers for it."""
    return {one.model_name: one for one in members if one.role == "active"}


def is_as_registered(registered: Iterable[Member], answering: Iterable[Member], model_name: str) -> bool:
    """Whether a release has a model's versions in the stages and roles that the registry has them in."""
    one, other = ({m for m in of if m.model_name == model_name} for of in (registered, answering))
    return one == other


def taken_back(now: Members, before: Members) -> dict[Member, int | None]:
    """The versions that a release brought, each with the one that answered before it; None where none did."""
    earlier = {name: one.version for name, one in answering_in(before).items()}
    return {
        one: earlier.get(name) for name, one in answering_in(now).items() if earlier.get(name) != one.version
    }
