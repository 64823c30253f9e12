"""What runs in a slot: builds the Bento of its release, unless it is there as built; then `bentoml serve`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from e2i_assets.deployment.releases import DeploymentError, Member, release_of
from e2i_assets.deployment.router import LOOPBACK
from e2i_assets.errors import E2IError
from e2i_assets.settings import settings
from e2i_assets.storage.bundles import fetch


def serve(order: Path) -> None:
    """Serve what an order says, in the place of this process; where it cannot be built, say why in a file."""
    wanted = json.loads(order.read_text(encoding="utf-8"))
    members = [Member(**member) for member in wanted["members"]]
    tag = f"{wanted['service']}:{wanted['release']}"
    home = Path(os.environ["BENTOML_HOME"])
    try:
        _require_name(wanted["release"], members)
        _ensure(home, wanted["service"], wanted["release"], members)
    except (E2IError, OSError) as error:
        why = error.summary if isinstance(error, E2IError) else f"{error.strerror}: {error.filename}"
        Path(wanted["refusal"]).write_text(why, encoding="utf-8")
        raise
    # What the registry keeps: a service loads no other files.
    hashes = {f"{one.model_name}:{one.version}": one.files_hash for one in members}
    environment = {**os.environ, "E2I_REGISTERED_HASHES": json.dumps(hashes)}
    options = ["--host", LOOPBACK, "--port", str(wanted["port"])]
    command = [sys.executable, "-m", "bentoml", "serve", tag, *options]
    os.execve(sys.executable, command, environment)


def _require_name(release: str, members: list[Member]) -> None:
    """Check that the records name the members that the release has its name from.

    Raises:
        DeploymentError: they do not, so somebody changed them.
    """
    if release_of(members) != release:
        raise DeploymentError(
            f"the record of release {release} in ml_bentoml_services names other members than it has",
            "See who changed it; deploy another release: promote a version, and `e2i deploy run`.",
        )


def _ensure(home: Path, service: str, release: str, members: list[Member]) -> None:
    from e2i_assets.serving import ReleaseMember, bento_store, ensure_release

    for one in members:
        fetch(settings(), one.bento_tag, one.files_hash)
    with bento_store(home):
        ensure_release(
            service,
            release,
            [
                ReleaseMember(one.model_name, one.version, one.bento_tag, one.files_hash, one.stage, one.role)
                for one in members
            ],
        )


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
