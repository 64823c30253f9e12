"""What a served release writes down beside answering: predictions, and what its shadow would have said."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from sklearn.linear_model import LogisticRegression

from e2i_assets.contracts.tables import TABLES
from e2i_assets.file_hashes import hash_of, hashes
from e2i_assets.modeling.problems.binary import Binary
from e2i_assets.observability import database as database_module
from e2i_assets.observability.background import Unavailable
from e2i_assets.observability.database import Database
from e2i_assets.serving import ReleaseMember, bento_store, build_bundle, build_release
from e2i_assets.settings import Settings
from e2i_assets.warehouse.registry_records import model_registry
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.conftest import installation
from e2i_assets_tests.serve_process import post, served
from e2i_assets_tests.serving_toy import FEATURES, LEVELS, ROW, USUAL, toy_pipeline

NAME = "conversion"
WITHIN_S = 90
Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def here(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with installation(server, tmp_path_factory.mktemp("log")) as settings:
        yield settings


def member(number: int, penalty: float) -> ReleaseMember:
    bundle = build_bundle(
        toy_pipeline(LogisticRegression(C=penalty)), FEATURES, name=NAME, version=f"v{number}",
        answer=Binary().answer([0, 1], "initiated", 0.5), metadata={}, levels=LEVELS, usual=USUAL,
        logged_features=["region"],
    )  # fmt: skip
    return ReleaseMember(NAME, number, bundle.tag, hash_of(hashes(bundle.path)), "production")


def register(warehouse: Warehouse, one: ReleaseMember) -> None:
    texts = ("scope", "partition", "problem_type", "algorithm", "model_fingerprint", "service", "data_version",
             "mlflow_run_id", "run_id")  # fmt: skip
    row: dict[str, Any] = dict.fromkeys(texts, "x") | {
        "model_name": one.model_name, "version": one.version, "bento_tag": one.bento_tag, "files_hash": one.files_hash,
        "trained_on": {}, "metrics": {}, "samples": {}, "mlflow_version": one.version,
        "created_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    }  # fmt: skip
    warehouse.record(model_registry, [row])


@pytest.fixture(scope="module")
def query(here: Settings) -> Query:
    assert here.database_url is not None
    url = here.database_url.get_secret_value().replace("postgresql+psycopg", "postgresql")

    def run(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture(scope="module")
def url(here: Settings) -> Iterator[str]:
    warehouse = Warehouse(here)
    warehouse.open()
    assert here.database_url is not None
    with bento_store(here.home_dir / "bentoml") as home:
        answers, shadow = member(1, 1.0), replace(member(2, 0.001), role="shadow", stage="shadow")
        for one in (answers, shadow):
            register(warehouse, one)
        release = build_release("classification-service", "r1", [answers, shadow])
    variables = {
        "E2I_PREDICTION_LOG_URL": here.database_url.get_secret_value(),
        "E2I_OTLP_ENDPOINT": "http://127.0.0.1:1",  # nobody there, which nobody is to notice
    }
    with served(release, home, home / "serve.log", **variables) as address:
        yield address


def until(
    query: Query, statement: str, wanted: Callable[[list[tuple[Any, ...]]], bool]
) -> list[tuple[Any, ...]]:
    deadline = time.monotonic() + WITHIN_S
    while not wanted(rows := query(statement)):
        assert time.monotonic() < deadline, rows
        time.sleep(0.2)
    return rows


def ask(url: str, request_id: str, row: dict[str, Any] = ROW, **headers: str) -> float:
    body = {"features": row, "patient_journey_id": f"journey-{request_id}"}
    response = httpx.post(
        f"{url}/predict", json=body, headers={"X-Request-Id": request_id, **headers}, timeout=30
    )
    assert response.status_code == 200, response.text
    return response.json()["predictions"][0]


def test_what_was_answered_is_written_down(url: str, query: Query) -> None:
    probability = ask(url, "a")
    ask(url, "a")  # sent again by a client that did not hear the answer
    ask(url, "probe", **{"X-E2I-Probe": "1"})
    batch = {"features_list": [ROW, ROW | {"region": None}], "patient_journey_ids": [None, "journey-b"]}
    probabilities = post(url, "/predict_batch", batch).json()["predictions"]
    assert post(url, "/predict", {"features": ROW | {"age": -1}}).status_code == 400
    rows = until(
        query,
        "SELECT model_name, version, stage, release, patient_journey_id, prediction, features FROM e2i.ml_prediction_log "
        "ORDER BY predicted_at, row",
        lambda rows: len(rows) >= 3,
    )
    common = (NAME, "1", "production", "classification-service:r1")
    assert rows == [
        (*common, "journey-a", probability, {"region": "north"}),
        (*common, None, probabilities[0], {"region": "north"}),
        (*common, "journey-b", probabilities[1], {"region": None}),
    ]


def test_a_prediction_is_a_span_of_who_asked_for_it(url: str, query: Query) -> None:
    """Where that one records its own; and what is kept longer than is kept goes with the next that comes."""
    trace, parent, old = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "c" * 32
    query(
        "INSERT INTO e2i.ml_observability_spans SELECT %s, number, NULL, 's', 'o', day, day, 0, 'success', NULL, NULL, "
        "NULL, NULL, '{}' FROM (VALUES ('new', now() - interval '29 days'), ('old', now() - interval '31 days')) "
        "AS r(number, day)",
        old,
    )
    ask(url, "unsampled", traceparent=f"00-{trace}-{parent}-00")
    ask(url, "probed", traceparent=f"00-{trace}-{parent}-01", **{"X-E2I-Probe": "1"})
    ask(url, "traced", traceparent=f"00-{trace}-{parent}-01")
    ((span_id, duration, attributes, *more),) = until(
        query,
        "SELECT span_id, duration_ms, attributes, parent_span_id, service, operation, status, model_name "
        f"FROM e2i.ml_observability_spans WHERE trace_id = '{trace}'",
        bool,
    )
    assert more == [parent, "classification-service", "/predict", "success", NAME]
    assert len(span_id) == 16
    assert 0 < duration < 30_000
    assert attributes == {
        "version": "1", "stage": "production", "release": "classification-service:r1", "rows": 1,
        "http.response.status_code": 200, "verdict": "answered", "shadow": True,
    }  # fmt: skip
    until(
        query,
        f"SELECT span_id FROM e2i.ml_observability_spans WHERE trace_id = '{old}'",
        lambda r: r == [("new",)],
    )


def test_no_source_of_data_is_the_log(here: Settings) -> None:
    """What a partition's data version is made of are the contract's tables."""
    assert "ml_prediction_log" not in TABLES


def test_it_survives_that_the_database_goes_away(url: str, query: Query) -> None:
    ask(url, "before")
    until(query, "SELECT 1 FROM e2i.ml_prediction_log WHERE request_id = 'before'", bool)
    query("ALTER TABLE e2i.ml_prediction_log RENAME TO away")
    try:
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        ask(url, "meanwhile")
        deadline = time.monotonic() + WITHIN_S
        while (health := httpx.get(f"{url}/health").json())["prediction_log"]["status"] == "written":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert health["status"] == "healthy"
    finally:
        query("ALTER TABLE e2i.away RENAME TO ml_prediction_log")
    ask(url, "after")
    for request in ("meanwhile", "after"):
        until(query, f"SELECT 1 FROM e2i.ml_prediction_log WHERE request_id = '{request}'", bool)
    assert dropped(url) == 0
    metrics = httpx.get(f"{url}/metrics").text
    for family in ("requests_total", "request_latency_seconds_bucket", "health_status", "load_seconds"):
        assert f"\ne2i_model_{family}{{" in metrics
    assert "process_resident_memory_bytes" in metrics
    assert 'e2i_model_errors_total{endpoint="/predict",error_type="client"' in metrics


def test_what_the_database_refuses_takes_nothing_else_with_it(url: str, query: Query) -> None:
    query(
        "ALTER TABLE e2i.ml_prediction_log ADD CONSTRAINT not_bad CHECK (patient_journey_id <> 'journey-bad') NOT VALID"
    )
    before = int(dropped(url))
    try:
        for request in ("good-1", "bad", "good-2"):
            ask(url, request)
        for request in ("good-1", "good-2"):
            until(query, f"SELECT 1 FROM e2i.ml_prediction_log WHERE request_id = '{request}'", bool)
        deadline = time.monotonic() + WITHIN_S
        while dropped(url) == before:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        query("ALTER TABLE e2i.ml_prediction_log DROP CONSTRAINT not_bad")
    assert query("SELECT 1 FROM e2i.ml_prediction_log WHERE request_id = 'bad'") == []
    assert dropped(url) == before + 1


def dropped(url: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    name = 'e2i_model_dropped_requests_total{log="prediction_log",service="classification-service"} '
    return float(text.partition(name)[2].partition("\n")[0])


def test_a_database_that_hangs_is_left(here: Settings, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind somebody's lock it gives the statement up itself; stopped, it is cut off; then all goes on."""
    assert here.database_url is not None
    monkeypatch.setattr(database_module, "STATEMENT_S", 0.2)
    database = Database(here.database_url.get_secret_value())
    statement = "INSERT INTO e2i.hung SELECT number FROM jsonb_to_recordset(%s::jsonb) AS r(number integer)"
    query("CREATE TABLE e2i.hung (number integer)")
    try:
        with query_in_transaction(here) as connection:
            connection.execute("LOCK TABLE e2i.hung")
            with pytest.raises(Unavailable, match="QueryCanceled"):
                database.insert(statement, [{"number": 1}])
        database.insert(statement, [{"number": 2}])
        monkeypatch.setattr(database_module, "ANSWER_S", 0.3)
        stopped = psutil.Process(database._connection.info.backend_pid)
        stopped.suspend()
        try:
            with pytest.raises(Unavailable, match="OperationalError"):
                database.insert(statement, [{"number": 3}])
            monkeypatch.undo()
            database.insert(statement, [{"number": 4}])
        finally:
            stopped.resume()
        assert {2, 4} <= {number for (number,) in query("SELECT number FROM e2i.hung")}
    finally:
        query("DROP TABLE e2i.hung")


def query_in_transaction(here: Settings) -> psycopg.Connection[Any]:
    assert here.database_url is not None
    url = here.database_url.get_secret_value()
    return psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))


def test_the_shadow_leaves_evidence_when_its_minute_is_over(url: str, query: Query) -> None:
    """It is asked what was asked, probes and refused requests left out."""
    (asked,) = query("SELECT count(DISTINCT request_id) FROM e2i.ml_prediction_log")[0]
    rows = until(
        query,
        "SELECT sum(requests), sum(errors), min(mean_difference), max(latency_p99_ms), min(version), max(version) "
        "FROM e2i.ml_shadow_evidence",
        lambda rows: (rows[0][0] or 0) > asked + 1,
    )
    ((requests, errors, difference, latency, first, last),) = rows
    # The one sent again was answered twice, and one was refused by the log.
    assert (requests, errors, first, last) == (asked + 2, 0, 2, 2)
    assert difference > 0.001
    assert latency > 0


def test_sigterm_writes_down_what_waits(url: str, query: Query) -> None:
    """Evidence of a minute that is not over included. The last test of these: the service is gone then."""
    evidence = "SELECT sum(requests)::int FROM e2i.ml_shadow_evidence"
    ((before,),) = query(evidence)
    (server,) = [one for one in psutil.Process().children() if url.rpartition(":")[2] in one.cmdline()]
    ask(url, "last")
    server.terminate()
    server.wait(timeout=WITHIN_S)
    assert query("SELECT patient_journey_id FROM e2i.ml_prediction_log WHERE request_id = 'last'") == [
        ("journey-last",)
    ]
    assert query(evidence) == [(before + 1,)]
