"""The operations API: everybody may look, a change wants the token, and each leaves an audit row."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from e2i_assets.api.app import operations_api
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
    for wrong in ({}, {"model_name": ""}, WISH | {"other": 1}, {"model_name": 3}):
        assert client.post("/api/deployments/rollback", json=wrong).status_code == 422
    assert outcomes(warehouse) == []
