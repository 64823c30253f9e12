"""What the ledger says of a rollback: which versions move, so that an earlier one is served again. Pure."""

from __future__ import annotations

import datetime as dt
import getpass

from e2i_assets.registry.errors import RegistryError
from e2i_assets.registry.ledger import Entry, Model, Version
from e2i_assets.registry.promotion import require_clock
from e2i_assets.registry.stages import DEVELOPMENT, PRODUCTION, SHADOW, STAGING

SERVED = (SHADOW, STAGING, PRODUCTION)
"""Stages of versions that may answer, the one that comes first last (`Model.served`)."""
Move = tuple[Version, str, str]


def rolled_back(
    model: Model, left: int, target: int | None, *, by: str, note: str, at: dt.datetime
) -> list[Entry]:
    """The entries after which the version that is gone back to is the one to serve.

    One that was in production before is there again, and the one in its place leaves for staging: it was
    approved when it went there first, so nobody is asked. Else whatever would be served before it goes back
    to development, from where somebody may promote it again.

    Args:
        left: the version that is not to answer any more.
        target: the one that is; None where nothing answered before.
        by: who or what rolls back.
        note: why.

    Raises:
        RegistryError: there is no such version, or it is in a stage from which none is served.
    """
    require_clock(model, at)
    moves = _given_up(model, left) if target is None else _moves(model, model.version(target))
    return [
        Entry(
            model.name, model.next_sequence + i, version.version, "moved", before, after, by,
            getpass.getuser(), at, note=f"rolled back: {note}",
        )
        for i, (version, before, after) in enumerate(moves)
    ]  # fmt: skip


def _given_up(model: Model, left: int) -> list[Move]:
    stage = model.stages()[left]
    return [(model.version(left), stage, DEVELOPMENT)] if stage in SERVED else []


def _moves(model: Model, target: Version) -> list[Move]:
    stages = model.stages()
    if (stage := stages[target.version]) not in SERVED:
        raise RegistryError(
            f"{target.title} is in {stage}",
            f"Roll back to a version in staging, or promote this one: "
            f"e2i models promote {model.name} {target.version} staging",
            code="no_such_move",
        )
    champion = model.champion()
    if stage == STAGING and model.left_production(target.version) is not None:
        replaced = [] if champion is None else [(champion, PRODUCTION, STAGING)]
        return [*replaced, (target, STAGING, PRODUCTION)]

    def precedence(version: Version) -> tuple[int, int]:
        return SERVED.index(stages[version.version]), version.version

    candidates = [version for version in model.versions if stages[version.version] in SERVED]
    before = [version for version in candidates if precedence(version) > precedence(target)]
    return [(version, stages[version.version], DEVELOPMENT) for version in reversed(before)]
