"""Golden requests: asked of a process over HTTP, it must give the answers that are known since the bundle."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2i_assets.deployment.releases import Member

if TYPE_CHECKING:
    import httpx

TOLERANCE = 1e-6
PROBE = {"X-E2I-Probe": "1"}
"""Header of a request that is nobody's: it is answered, and leaves nothing in the log of predictions."""


def golden_refusal(url: str, folder: Path, members: Iterable[Member], client: httpx.Client) -> str | None:
    """Why a process is not to take over; None where every model gives every answer that is known.

    Args:
        url: of the process.
        folder: the models of its release, a folder each.
        members: of the release.
    """
    for member in members:
        if member.role != "active":
            continue
        schema = json.loads((folder / member.model_name / "schema.json").read_text(encoding="utf-8"))
        golden = schema["golden"]
        if not golden:
            return f"{member.model_name} has no golden requests"
        for number, request in enumerate(golden, 1):
            if wrong := _wrong(url, member, request, client):
                return f"{member.model_name}: golden request {number} of {len(golden)} {wrong}"
    return None


def _wrong(url: str, member: Member, request: dict[str, Any], client: httpx.Client) -> str | None:
    import httpx

    try:
        response = client.post(
            f"{url}/{member.model_name}/predict", json={"features": request["features"]}, headers=PROBE
        )
    except httpx.TransportError as error:
        return f"was not answered ({type(error).__name__})"
    if response.status_code != 200:
        return f"was answered with status {response.status_code}"
    answer = response.json()
    number = (answer["_metadata"]["model_name"], int(answer["_metadata"]["version"]))
    if number != member.number:
        return f"was answered by version {number[1]} of {number[0]}, not by {member.version}"
    if not all(_same(answer.get(name), known) for name, known in request["answer"].items()):
        return "was answered otherwise than when the model was bundled"
    return None


def _same(given: Any, known: Any) -> bool:
    if isinstance(known, dict):
        return (
            isinstance(given, dict)
            and known.keys() == given.keys()
            and all(_same(given[name], value) for name, value in known.items())
        )
    if isinstance(known, list):
        return isinstance(given, list) and len(known) == len(given) and all(map(_same, given, known))
    if isinstance(known, float) and isinstance(given, int | float):
        return math.isclose(given, known, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(given == known)
