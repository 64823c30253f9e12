"""How waiting and serving end when the database goes away, or somebody asks them to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from e2i_assets.cli import api
from e2i_assets.deployment import wishes
from e2i_assets.deployment.releases import DeploymentError

ASKED: Any = SimpleNamespace(id=1, release="r1", service_name="classification-service")
WANTED, ACTIVE = SimpleNamespace(status="wanted"), SimpleNamespace(status="active")
AWAY = OperationalError("SELECT SECRET", {}, Exception("server closed the connection\nSECRET"))


@pytest.mark.parametrize(
    ("rows", "within", "code"),
    [
        ([WANTED, AWAY, AWAY, ACTIVE], 30.0, None),
        ([WANTED, AWAY], 0.05, "database_failed"),
        ([AWAY, WANTED], 0.05, "too_slow"),
    ],
)
def test_a_database_that_goes_away_is_waited_for(
    rows: list[Any], within: float, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(rows)

    def row(*_: Any) -> Any:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    monkeypatch.setattr(wishes, "release_row", row)
    monkeypatch.setattr(wishes, "require_reconciler", lambda _: None)
    monkeypatch.setattr(wishes, "POLL_S", 0.01)
    if code is None:
        assert wishes.await_release(SimpleNamespace(), ASKED, within) is ACTIVE  # type: ignore[arg-type]
        return
    with pytest.raises(DeploymentError) as raised:
        wishes.await_release(SimpleNamespace(), ASKED, within)  # type: ignore[arg-type]
    assert raised.value.code == code
    assert "SECRET" not in raised.value.summary
    assert ("server closed the connection" in raised.value.summary) == (code == "database_failed")


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


async def is_asked_to_end(server: Any, sockets: Any) -> None:
    server.handle_exit(signal.SIGTERM, None)


@pytest.mark.usefixtures("handlers")
def test_the_operations_api_ends_like_a_program_when_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its last words, which stop the embedded PostgreSQL; uvicorn raises the signal anew at its end."""
    here: Any = SimpleNamespace(serving_host="127.0.0.1", api_port=0, api_token=None)
    monkeypatch.setattr(api, "open_session", lambda: (here, None))
    monkeypatch.setattr("e2i_assets.api.app.operations_api", lambda *_: None)
    monkeypatch.setattr("uvicorn.Server.startup", is_asked_to_end)
    with pytest.raises(SystemExit) as ended:
        api.run_api()
    assert ended.value.code == 0
