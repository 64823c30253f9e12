"""The stages of a model version, and which moves between them there are."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from e2i_assets.registry.errors import RegistryError

STAGES = ("development", "staging", "shadow", "production", "archived")
DEVELOPMENT, STAGING, SHADOW, PRODUCTION, ARCHIVED = STAGES

MOVES: Mapping[str, tuple[str, ...]] = {
    DEVELOPMENT: (STAGING, ARCHIVED),
    STAGING: (SHADOW, ARCHIVED),
    SHADOW: (PRODUCTION, ARCHIVED),
    PRODUCTION: (ARCHIVED,),
    ARCHIVED: (),
}
"""Where a person may promote a version. By themselves, versions leave production for staging when another
takes their place; a rollback takes moves back (`registry.rollback`)."""


def require_stage(name: str) -> str:
    """The stage of a name.

    Raises:
        RegistryError: there is no such stage.
    """
    if name not in STAGES:
        near = get_close_matches(str(name).strip().lower(), STAGES, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise RegistryError(
            f"there is no stage {name!r}", f"{meant}Stages are {', '.join(STAGES)}.", code="unknown_stage"
        )
    return name


def require_move(model: str, now: str, wanted: str) -> None:
    """Check that there is a move from one stage to another.

    Args:
        model: the version, for the message.

    Raises:
        RegistryError: there is none, or the version is there already.
    """
    if now == wanted:
        raise RegistryError(
            f"{model} is in {now} already", "`e2i models history` says since when.", code="already_there"
        )
    if wanted not in MOVES[now]:
        onward = " or ".join(MOVES[now])
        raise RegistryError(
            f"{model} is in {now}, from where it cannot go to {wanted}",
            f"From {now} a version goes to {onward}." if onward else "Register another version.",
            code="no_such_move",
        )
