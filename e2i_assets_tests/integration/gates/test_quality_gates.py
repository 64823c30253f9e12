"""The gates of quality control, blocking: what goes wrong in the data is not published."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import dagster as dg
import pytest
import sqlalchemy as sa

from e2i_assets.build import build_defs, build_resources
from e2i_assets.contracts.tables import RAW_TABLES
from e2i_assets.gates.qc_report import SAME_SNAPSHOT, Origin, Quality
from e2i_assets.ingest.raw_table import RawTable
from e2i_assets.quality.report import QCReport
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.snapshots import Extract, Snapshot
from e2i_assets_tests.integration.gates.partition import (
    PARTITION,
    checks,
    page_of,
    published,
    reason,
    run,
    spoil,
)


@pytest.mark.parametrize(
    "sabotage",
    [
        "UPDATE e2i.patient_journeys SET clinical_attributes = clinical_attributes - 'egfr'",
        "UPDATE e2i.treatment_events SET patient_id = 'someone else'",
        "DELETE FROM e2i.treatment_events",
    ],
    ids=["a lost attribute", "mixed-up patients", "an empty table"],
)
def test_no_blockers(here: Settings, sabotage: str) -> None:
    """What goes wrong behind the loader's back."""
    before = published(here)
    spoil(here, sabotage)
    result = run(here, "*")
    assert reason(result, "no_blockers") == "quality_blockers"
    assert published(here) == before
    status, report = last_report(here)
    assert status == "failed"
    assert report["blockers"]
    # The refused report is there to read, with the pages of its suites.
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "no_blockers"]
    for page in ("report_page", "data_docs"):
        assert "failed" in page_of(here, check.metadata[page].value).read_text()


def test_qc_score(here: Settings) -> None:
    """Stale, patchy rows: no single rule is broken badly enough, the score is."""
    before = published(here)
    patchy = ", ".join(
        f"{name} = NULL"
        for name in ("gender", "geographic_region", "insurance_type", "disease_severity", "hcp_id")
    )
    spoil(
        here,
        f"UPDATE e2i.patient_journeys SET {patchy}, ingestion_timestamp = source_timestamp + interval '90 days'",
        "UPDATE e2i.treatment_events SET ingestion_timestamp = source_timestamp + interval '90 days', value = NULL",
    )
    result = run(here, "*")
    assert reason(result, "qc_score") == "score_below_threshold"
    assert published(here) == before


def test_split_quality(here: Settings) -> None:
    """The data are good as a whole; those of the few patients of the holdout are late, patchy and doubled."""
    before = published(here)
    theirs = "patient_id IN (SELECT patient_id FROM e2i.ml_split_assignments WHERE split = 'holdout')"
    empty = "gender = NULL, geographic_region = NULL, insurance_type = NULL"
    late = "ingestion_timestamp = source_timestamp + interval '90 days'"
    spoil(
        here,
        f"UPDATE e2i.patient_journeys SET {empty}, {late} WHERE {theirs}",
        f"UPDATE e2i.treatment_events SET cost = NULL, hcp_id = NULL, value = NULL, {late} WHERE {theirs}",
        f"CREATE TEMP TABLE copies AS SELECT * FROM e2i.treatment_events WHERE {theirs}",
        "UPDATE copies SET treatment_event_id = 'copy of ' || treatment_event_id",
        "INSERT INTO e2i.treatment_events SELECT * FROM copies",
    )
    result = run(here, "*")
    assert {"qc_score": True, "no_blockers": True}.items() <= checks(result).items()
    assert reason(result, "split_quality") == "score_below_threshold"
    assert published(here)["splits"] == before["splits"]
    worst = "SELECT split FROM e2i.ml_data_quality_reports WHERE overall_status = 'failed'"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        assert connection.execute(sa.text(worst)).scalars().all() == ["holdout"]


def test_a_feed_that_has_stopped_is_noticed(here: Settings) -> None:
    """The next day computes nothing; the day on which the newest records turn stale is seen."""
    before = published(here)

    def judged_after(days: int) -> tuple[dict[str, str], list[Any], list[str]]:
        assert here.as_of
        later = here.model_copy(update={"as_of": here.as_of + dt.timedelta(days)})
        result = run(later, "key:qc_report+2")
        assert result.success
        made = [m for e in result.get_asset_materialization_events() if (m := e.materialization)]
        computed = [m.asset_key.to_user_string() for m in made if not m.metadata["reused"].value]
        due = [r.partition_key for r in outdated_reports(later)]
        return published(later), computed, due

    assert judged_after(1) == (before, [], [])
    frozen = outdated_reports(here.model_copy(update={"as_of": dt.date(2026, 6, 1)}))
    assert [request.partition_key for request in frozen] == [PARTITION]
    (alert,) = alerts(build_resources(here)["warehouse"])
    assert (alert.kind, alert.severity, alert.subject) == ("refresh", "medium", f"feed of {PARTITION}")
    assert "treatment_events" in alert.message
    after, computed, due = judged_after(60)
    assert computed == ["qc_report", "cohort", "conversion/model_card"], (
        "a card tells the quality of its data"
    )
    assert due == []
    assert {name for name in before if after[name] != before[name]} == {"qc_report"}
    _, report = last_report(here)
    assert report["dimensions"]["timeliness"] == 0
    assert "newest record older than 30 days" in report["fix_first"]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (Origin(1, "7:7:"), "ok"),
        (Origin(1, "8:8:"), "ok"),
        (Origin(2, "7:7:"), "mixed_loads"),
        (Origin(2, "8:8:"), "mixed_loads"),
        (Origin(1, None), "unknown_load"),
        (Origin(1, ""), "unknown_load"),
    ],
)
def test_a_load_that_was_not_read_with_its_rows_is_only_a_label(one: Origin, reason: str) -> None:
    origins = dict.fromkeys(RAW_TABLES, Origin(1, "7:7:")) | {"triggers": one}
    verdict = SAME_SNAPSHOT.verdict(Quality(cast(QCReport, None), origins))
    assert (verdict.reason, verdict.passed) == (reason, reason == "ok")


RAW_AND_REPORT = "group:raw or key:qc_report"
COSTLIER = "UPDATE e2i.treatment_events SET cost = cost + 1"


def test_same_snapshot(here: Settings) -> None:
    """A load arrives between two runs that each extract some of the tables."""
    before = published(here)
    spoil(here, COSTLIER)
    assert run(here, 'key:"raw/treatment_events"').success
    assert reason(run(here, "key:qc_report"), "same_snapshot") == "mixed_loads"
    assert published(here) == before


def test_a_load_that_commits_between_two_extracts_is_in_none_of_them(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(here, "UPDATE e2i.hcp_profiles SET years_experience = 1")  # so that every table is due
    extract, extracted = Snapshot.extract, []

    def interrupted(self: Snapshot, table: str) -> Extract:
        if len(extracted) == 1:
            spoil(here, COSTLIER, "UPDATE e2i.patient_journeys SET data_source = 'later'")
        extracted.append(extract(self, table))
        return extracted[-1]

    monkeypatch.setattr(Snapshot, "extract", interrupted)
    costs = cost(here)
    result = run(here, RAW_AND_REPORT)
    assert len(extracted) == 7
    assert len({extract.snapshot for extract in extracted}) == 1
    assert checks(result)["same_snapshot"]
    assert {origin["load"] for origin in origins(here)} == {2}
    assert cost(here) == costs
    # The next run finds the load, and once it is in, nothing is due any more.
    monkeypatch.undo()
    assert checks(run(here, RAW_AND_REPORT))["same_snapshot"]
    assert {origin["load"] for origin in origins(here)} == {3}
    assert cost(here) > costs
    again = run(here, "group:raw")
    assert all(e.materialization.metadata["reused"].value for e in again.get_asset_materialization_events())


def test_tables_of_several_runs_are_one_set_where_no_load_lies_between(here: Settings) -> None:
    assert run(here, 'key:"raw/triggers"', force=True).success
    assert len({origin["snapshot"] for origin in origins(here)}) == 2
    result = run(here, "key:qc_report", force=True)
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "same_snapshot"]
    assert check.passed
    assert check.metadata["snapshots"].value == 2


def origins(here: Settings) -> list[Any]:
    store = build_resources(here)["store"]
    return [store.current(f"raw/{name}", PARTITION).attributes for name in RAW_TABLES]


def cost(here: Settings) -> float:
    store = build_resources(here)["store"]
    version = store.current("raw/treatment_events", PARTITION).version
    return float(store.read("raw/treatment_events", PARTITION, version, RawTable).frame["cost"].sum())


def outdated_reports(here: Settings) -> list[dg.RunRequest]:
    defs = build_defs(here)
    resources = {name: build_resources(here)[name] for name in ("settings", "store", "warehouse")}
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources=resources, definitions=defs)
        tick = defs.resolve_sensor_def("freshness_sensor").evaluate_tick(context)
        return list(tick.run_requests or [])


def last_report(here: Settings) -> tuple[str, Any]:
    newest = "SELECT overall_status, report FROM e2i.ml_data_quality_reports ORDER BY id DESC LIMIT 1"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        row = connection.execute(sa.text(newest)).one()
    return row.overall_status, row.report
