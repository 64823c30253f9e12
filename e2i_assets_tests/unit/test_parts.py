"""When `e2i up` says that a part answers."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from e2i_assets.cli import parts
from e2i_assets.cli.parts import Services
from e2i_assets.settings import Settings

RELEASE, NONE = "r1", None


@pytest.mark.parametrize(
    ("statuses", "releases", "is_own", "answers"),
    [
        ((200, 200, 200), (RELEASE, RELEASE, RELEASE), True, True),
        ((503, 503, 503), (NONE, NONE, NONE), True, True),
        ((200, 200, 503), (RELEASE, RELEASE, RELEASE), True, False),
        ((503, 200, 503), (RELEASE, RELEASE, NONE), True, False),
        ((200, 200, 503), (RELEASE, RELEASE, NONE), True, True),
        ((200, 200, None), (RELEASE, RELEASE, NONE), True, False),
        ((200, 200, 200), (RELEASE, RELEASE, RELEASE), False, False),
    ],
)
def test_services_answer_once_every_release_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    statuses: tuple[int | None, ...],
    releases: tuple[str | None, ...],
    is_own: bool,
    answers: bool,
) -> None:
    """A service that has no release answers with the router's 503, and one with None not at all."""
    here = Settings(home=tmp_path)
    told = {}
    for (service, port), status, release in zip(here.service_ports.items(), statuses, releases, strict=True):
        told[f"http://127.0.0.1:{port}/health"] = status
        slot = {"release": release, "phase": "dead", "family": None, "refusal": None}
        (here.serving_dir / service).mkdir(parents=True)
        (here.serving_dir / service / "slots.json").write_text(json.dumps({"blue": slot}))

    def get(url: str, **_: object) -> httpx.Response:
        if (status := told[url]) is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)

    monkeypatch.setattr(parts.httpx, "get", get)
    monkeypatch.setattr(parts.processes, "marked", lambda _: ["caddy"] if is_own else [])
    assert Services("services", [], "", "", here=here).answers() is answers
