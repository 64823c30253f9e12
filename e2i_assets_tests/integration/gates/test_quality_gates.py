"""The gates of quality control, blocking: what goes wrong in the data is not published."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from e2i_assets.build import build_resources
from e2i_assets.settings import Settings
from e2i_assets_tests.integration.gates.partition import (
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


def test_same_snapshot(here: Settings) -> None:
    """A load arrives between two extracts."""
    spoil(here, "UPDATE e2i.treatment_events SET cost = cost + 1")
    assert run(here, 'key:"raw/treatment_events"').success
    assert reason(run(here, "key:qc_report"), "same_snapshot") == "mixed_loads"


def last_report(here: Settings) -> tuple[str, Any]:
    newest = "SELECT overall_status, report FROM e2i.ml_data_quality_reports ORDER BY id DESC LIMIT 1"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        row = connection.execute(sa.text(newest)).one()
    return row.overall_status, row.report
