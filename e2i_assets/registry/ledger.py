"""A model's versions, and what the entries of its ledger amount to: pure, whatever they are read from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.stages import PRODUCTION, SHADOW, STAGING

MOST_DIGITS = 9
"""Of a version's number."""


@dataclass(frozen=True)
class NewVersion:
    """What is registered: a bundle that can be served, and the evidence of its model.

    Attributes:
        files_hash: of the bundle's files.
        data_version: of the splits that the model was trained on; `trained_on` says more of them.
        metrics: evidence by the name that a promotion rule has for it, on test; None where there is none.
        samples: patients with a known outcome, by split.
    """

    model_name: str
    scope: str
    partition: str
    problem_type: str
    algorithm: str
    model_fingerprint: str
    service: str
    bento_tag: str
    files_hash: str
    data_version: str
    trained_on: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    samples: Mapping[str, int | None]
    mlflow_run_id: str
    run_id: str


@dataclass(frozen=True)
class Version(NewVersion):
    """A registered version.

    Attributes:
        version: from 1, by the order of registration of its model.
        mlflow_version: its number in MLflow's registry, the same unless somebody else registers there too.
    """

    version: int
    mlflow_version: int
    created_at: dt.datetime

    @property
    def title(self) -> str:
        """Name and number for a person."""
        return f"{self.model_name} version {self.version}"


@dataclass(frozen=True)
class Entry:
    """One entry of the ledger.

    Attributes:
        event: `registered`, `moved`, or `requested`, of a move that waits for approval.
        actor: who did it, or asked for it; `account` of the operating system.
        evidence: each rule with what was wanted and found.
    """

    model_name: str
    sequence: int
    version: int
    event: str
    from_stage: str | None
    to_stage: str
    actor: str
    account: str
    at: dt.datetime
    approved_by: str | None = None
    note: str | None = None
    evidence: Sequence[Mapping[str, Any]] = ()
    run_id: str | None = None

    @property
    def moves(self) -> bool:
        """Whether the version is in another stage since."""
        return self.event in ("registered", "moved")


@dataclass(frozen=True)
class Model:
    """A model name with its versions and its ledger, in the order in which they were written."""

    name: str
    versions: Sequence[Version]
    entries: Sequence[Entry] = field(repr=False)

    @property
    def next_sequence(self) -> int:
        """Of the entry that comes next."""
        return self.entries[-1].sequence + 1 if self.entries else 1

    def version(self, number: int) -> Version:
        """One version.

        Raises:
            RegistryError: it was never registered.
        """
        for version in self.versions:
            if version.version == number:
                return version
        known = ", ".join(str(version.version) for version in self.versions)
        raise RegistryError(
            f"{self.name} has no version {number}",
            f"It has {known}." if known else "`e2i models list` shows every model.",
            code="no_such_version",
        )

    def stage(self, number: int) -> str | None:
        """The stage that a version is in; None before it is registered."""
        return self.stages().get(number)

    def stages(self, at: dt.datetime | None = None) -> dict[int, str]:
        """Each version's stage now, or at a moment."""
        return {
            entry.version: entry.to_stage
            for entry in self.entries
            if entry.moves and (at is None or entry.at <= at)
        }

    def in_stage(self, stage: str, at: dt.datetime | None = None) -> list[Version]:
        """The versions in a stage, in the order of their numbers."""
        stages = self.stages(at)
        return [version for version in self.versions if stages.get(version.version) == stage]

    def champion(self, at: dt.datetime | None = None) -> Version | None:
        """The version in production."""
        champions = self.in_stage(PRODUCTION, at)
        return champions[-1] if champions else None

    def entered(self, number: int) -> Entry:
        """The entry since which a version is in its stage."""
        return next(entry for entry in reversed(self.entries) if entry.version == number and entry.moves)

    def left_production(self, number: int) -> dt.datetime | None:
        """When a version left production last; None where it is there, or never was."""
        for entry in reversed(self.entries):
            if entry.version == number and entry.moves and PRODUCTION in (entry.from_stage, entry.to_stage):
                return entry.at if entry.from_stage == PRODUCTION else None
        return None

    def open_request(self, number: int) -> Entry | None:
        """The request that waits for approval; a move since then has closed it."""
        for entry in reversed(self.entries):
            if entry.version == number:
                return entry if entry.event == "requested" else None
        return None

    def served(self) -> Iterator[tuple[Version, str]]:
        """The versions that a service loads, each with its role, `active` or `shadow`.

        The one in production answers; where there is none, the newest in staging; where there is none, the
        newest in shadow. Every other one in shadow is scored beside it.
        """
        shadows = self.in_stage(SHADOW)
        answering = self.champion() or next(iter([*self.in_stage(STAGING)[::-1], *shadows[::-1]]), None)
        if answering is None:
            return
        yield answering, "active"
        yield from ((version, "shadow") for version in shadows if version != answering)


def version_number(given: int | str) -> int:
    """The number of a version as people write it: 1, `1` or `v1`.

    Raises:
        RegistryError: it is none.
    """
    text = str(given).strip().lower().removeprefix("v")
    if not text.isascii() or not text.isdigit() or len(text) > MOST_DIGITS:
        raise RegistryError(
            f"{str(given)[:20]!r} is no version", "Versions are 1, 2, …", code="no_such_version"
        )
    return int(text)
