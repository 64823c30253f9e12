"""The trace of a run: kept in the database and received over OTLP, of one that a gate refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from e2i_assets.build import build_resources
from e2i_assets.cli.traces import NoTrace, run_traces
from e2i_assets.observability.trace import trace_id_of
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import COHORT_FILE, PARTITION, changed, reason, run
from e2i_assets_tests.otlp_receiver import receiving


def test_a_run_that_a_gate_refused_is_one_trace(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = {"field": "egfr", "operator": ">", "value": 10_000}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(nobody))
    with receiving() as received:
        headers = SecretStr("projectName=e2i,Comet-Workspace=default")
        told = edited.model_copy(update={"otlp_endpoint": received.url, "otlp_headers": headers})
        result = run(told, "key:qc_report or key:cohort")
        assert reason(result, "cohort_size") == "cohort_too_small"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT * FROM e2i.ml_observability_spans WHERE run_id = :run"), {"run": result.run_id}
        ).all()
    assert {row.trace_id for row in rows} == {trace_id_of(result.run_id)}
    by_name, names = {row.operation: row for row in rows}, {row.span_id: row.operation for row in rows}
    within = {row.operation: names.get(row.parent_span_id) for row in rows}
    assert within["run"] is None
    assert within["stage qc_report"] == within["stage cohort"] == "run"
    assert (within["gate qc_score"], within["gate cohort_size"]) == ("stage qc_report", "stage cohort")
    refused, passed = by_name["stage cohort"], by_name["stage qc_report"]
    assert (by_name["run"].status, refused.status, refused.error_type) == (
        "error",
        "error",
        "cohort_too_small",
    )
    assert (refused.attributes["outcome"], refused.attributes["gate"]) == ("refused", "cohort_size")
    assert (passed.status, passed.attributes["outcome"]) == ("success", "published")
    assert {row.partition for row in rows} == {PARTITION}
    assert {span["span_id"]: span["name"] for span in received.spans} == names
    assert {headers["projectName"] for headers in received.headers} == {"e2i"}
    # Names, versions and verdicts, and no more.
    assert {key for row in rows for key in row.attributes} == {
        "asset", "blocking", "gate", "job", "outcome", "passed", "reason", "version",
    }  # fmt: skip
    warehouse = build_resources(here)["warehouse"]
    monkeypatch.setattr("e2i_assets.cli.traces.open_session", lambda: (here, warehouse))
    assert run_traces(result.run_id[:8], as_json=False) == run_traces(None, as_json=True) == 0
    tree, _, slowest = capsys.readouterr().out.partition("{")
    order = [tree.index(what) for what in (" run ", "stage cohort", "gate cohort_size")]
    assert order[0] < order[1] < order[2]
    assert "refused cohort_too_small" in tree
    assert {"e2i"} == {one["service"] for one in json.loads("{" + slowest)["operations"]}
    with pytest.raises(NoTrace, match="no span of a run 'ffffffff'"):
        run_traces("ffffffff", as_json=False)
    assert "10000" not in json.dumps([dict(row.attributes) for row in rows])
