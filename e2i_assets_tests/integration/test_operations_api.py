"""The operations API: everybody may look, a change wants the token, and each leaves an audit row."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from e2i_assets.api import app
from e2i_assets.api.app import operations_api
from e2i_assets.serving.server.admission import MAX_BODY
from e2i_assets.settings import Settings
from e2i_assets.warehouse.deployment_records import api_audit
from e2i_assets.warehouse.warehouse import Warehouse

TOKEN = "xK2-long-and-random"
WISH = {"model_name": "churn_model", "target_version": "v1"}


def outcomes(warehouse: Warehouse) -> list[tuple[str, str]]:
    with warehouse.engine.connect() as connection:
        return list(
            connection.execute(
                sa.select(api_audit.c.action, api_audit.c.outcome).order_by(api_audit.c.id)
            ).tuples()
        )


CHANGES = (
    (None, f"Bearer {TOKEN}", 403, "no_token_configured"),
    ("", "Bearer ", 403, "no_token_configured"),
    (TOKEN, None, 401, "token_needed"),
    (TOKEN, TOKEN, 401, "token_needed"),
    (TOKEN, "Bearer another", 401, "token_wrong"),
    (TOKEN, f"Bearer {TOKEN}s", 401, "token_wrong"),
    (TOKEN, f"Bearer {TOKEN}", 503, "no_reconciler"),
)
"""Token that is configured, header that is sent, status and code of the answer."""


def test_a_change_wants_the_token_and_somebody_who_does_it(here: Settings, warehouse: Warehouse) -> None:
    for configured, shown, status, code in CHANGES:
        token = None if configured is None else SecretStr(configured)
        client = TestClient(operations_api(here.model_copy(update={"api_token": token}), warehouse))
        headers = {} if shown is None else {"Authorization": shown}
        response = client.post("/api/deployments/rollback", json=WISH, headers=headers)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert error["next_step"]
        assert TOKEN not in response.text
    assert outcomes(warehouse) == [("rollback", code) for *_, code in CHANGES]


def test_everybody_may_look_and_wrong_wishes_are_4xx(here: Settings, warehouse: Warehouse) -> None:
    client = TestClient(operations_api(here, warehouse))
    services = client.get("/api/deployments/status").json()["services"]
    assert [one["service_name"].partition("-")[0] for one in services] == [
        "classification",
        "regression",
        "causal",
    ]
    assert not any(one["reconciled"] or one["active"] for one in services)
    assert client.get("/api/models").json() == {"versions": []}
    data = client.get("/api/data/status").json()
    assert {one["partition"] for one in data["partitions"]} > {"remibrutinib_csu"}
    page = client.get("/docs").text
    used = re.findall(r"""(?:src|href|url)[=:] ?['"]([^'"]+)""", page)
    assert "/openapi.json" in used
    assert len(used) == 4
    change = client.get("/openapi.json").json()["paths"]["/api/deployments/rollback"]["post"]
    assert change["security"] == [{"HTTPBearer": []}]
    assert [client.get(own).status_code for own in used] == [200] * len(used)  # none is on the Internet
    for wrong in ({}, {"model_name": ""}, WISH | {"other": 1}, {"model_name": 3}):
        assert client.post("/api/deployments/rollback", json=wrong).status_code == 422
    garbled = client.post(
        "/api/deployments/rollback", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert garbled.status_code == 422
    assert outcomes(warehouse) == [("rollback", "invalid")] * 5


HOSTILE = (
    (b'{"model_name": NaN}', 422, "model_name"),
    (b'{"model_name": "a\\u0000"}', 422, "model_name"),
    (b'{"model_name": "a\\ud800"}', 422, "model_name"),
    (b'{"model_name": "a", "reason": "\\u001b[2J"}', 422, "reason"),
    (b'{"model_name": "a", "b\\u0000": 1}', 422, "a field that there is not"),
    (b'{"model_name": "a", "b\\ud800": 1}', 422, "body"),
    (b'{"model_name": "a", "%s": 1}' % (b"k" * 10_000), 422, "a field that there is not"),
    (b'{"model_name": "a", "target_version": true}', 422, "target_version"),
    (b'{"model_name": "a", "target_version": 1.0}', 422, "target_version"),
    (b'{"model_name": "a", "target_version": %s}' % (b"9" * 4000), 422, "target_version"),
    (b'{"model_name": "a", "target_version": "%s"}' % (b"9" * 4000), 422, "target_version"),
    (b'{"model_name": "\xe4"}', 400, "body"),
    (b"[" * 100_000, 400, "body"),
)
"""Bodies with what a database, a terminal or a log could stumble over; the status, and what is named."""


def test_a_hostile_wish_is_a_4xx_and_leaves_a_short_row(here: Settings, warehouse: Warehouse) -> None:
    client = TestClient(operations_api(here, warehouse))
    path, kind = "/api/deployments/rollback", {"Content-Type": "application/json"}
    for body, status, named in HOSTILE:
        answer = client.post(path, content=body, headers=kind)
        assert (answer.status_code, answer.json()["error"]["message"].partition(":")[0]) == (status, named)
    with warehouse.engine.connect() as connection:
        rows = list(connection.execute(sa.select(api_audit.c.request).order_by(api_audit.c.id)).scalars())
    assert rows == [{"invalid": [named]} for *_, named in HOSTILE]
    assert client.post(path, content=b" " * (MAX_BODY + 1), headers=kind).status_code == 413
    assert client.post(path, data={"model_name": "a"}).status_code == 415


def test_a_change_that_cannot_be_written_down_is_not_made_and_its_own_error_is_what_is_told(
    here: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = TestClient(operations_api(here.model_copy(update={"api_token": SecretStr(TOKEN)}), warehouse))
    asked = {"json": WISH, "headers": {"Authorization": f"Bearer {TOKEN}"}}
    with monkeypatch.context() as patch:
        patch.setattr(app, "end_change", _away)
        answer = client.post("/api/deployments/rollback", **asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_reconciler")
    assert outcomes(warehouse) == [("rollback", "begun")]
    with monkeypatch.context() as patch:
        patch.setattr(app, "record_change", _away)
        patch.setattr(app, "require_reconciler", pytest.fail)
        answer = client.post("/api/deployments/rollback", **asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_failed")


def _away(*_: object) -> None:
    raise sa.exc.OperationalError("UPDATE", {}, Exception("the server closed the connection"))
