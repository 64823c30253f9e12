"""Each gate of each asset, blocking: one mistake is made, and nothing is published past it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner

from e2i_assets.assets import bento_bundle, preprocessor
from e2i_assets.assets import splits as splits_asset
from e2i_assets.assets.artifacts import Cohort, Evaluated, Splits
from e2i_assets.automation.jobs import REFRESH
from e2i_assets.build import build_defs, build_resources
from e2i_assets.cli.audit_data import audit_partition
from e2i_assets.cli.cohort_data import NothingToShow
from e2i_assets.cli.main import app
from e2i_assets.ingest.loader import Load
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.modeling.errors import SplitError
from e2i_assets.quality.leakage.sheet import NOT_COVERED
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import ROOT, installation

PARTITION = "fabhalta_c3g"
PROGRAMMES = {("Remibrutinib", "csu"), ("Fabhalta", "pnh"), ("Fabhalta", "c3g"), ("Kisqali", "hr_her2_bc")}


@pytest.fixture(scope="module")
def base(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An installation with the small data set and one partition materialized, every gate passed."""
    with installation(server, tmp_path_factory.mktemp("gates")) as here:
        made = generate(GeneratorSpec(scale="small"))
        build_resources(here)["warehouse"].load(
            Load(made.tables, "synthetic", replaces="synthetic"), PROGRAMMES
        )
        result = run(here, "*")
        assert result.success
        assert len(checks(result)) == 12
        yield here


@pytest.fixture
def here(server: str, base: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy of it, to be spoilt."""
    with installation(server, tmp_path, template=base) as copy:
        yield copy


def run(here: Settings, select: str) -> dg.ExecuteInProcessResult:
    defs = build_defs(here)
    return defs.resolve_job_def(REFRESH).execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        partition_key=PARTITION,
        asset_selection=sorted(dg.AssetSelection.from_string(select).resolve(defs.resolve_asset_graph())),
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def reason(result: dg.ExecuteInProcessResult, gate: str) -> Any:
    (found,) = [e for e in result.get_asset_check_evaluations() if e.check_name == gate]
    assert not found.passed
    return found.metadata["reason"].value


def published(here: Settings) -> dict[str, str]:
    store = build_resources(here)["store"]
    names = [
        "qc_report",
        "cohort",
        "features",
        "splits",
        *[f"conversion/{n}" for n in ("preprocessor", "evaluation", "bento_bundle")],
    ]
    return {name: store.current(name, PARTITION).version for name in names}


def changed(here: Settings, folder: Path, file: str, edit: Callable[[Any], None]) -> Settings:
    """The same installation under a configuration with one edit."""
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    content = yaml.safe_load((config / file).read_text())
    edit(content)
    (config / file).write_text(yaml.safe_dump(content))
    return here.model_copy(update={"config": config})


COHORT_FILE = f"cohorts/{PARTITION}.yaml"


def page_of(here: Settings, link: str) -> Path:
    assert link.startswith(here.pages_url)
    return Path(here.artifacts_url) / link.removeprefix(here.pages_url).lstrip("/")


def test_cohort_size(here: Settings, tmp_path: Path) -> None:
    before = published(here)
    nobody = {"field": "egfr", "operator": ">", "value": 10_000}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(nobody))
    result = run(edited, "key:cohort+")
    assert reason(result, "cohort_size") == "cohort_too_small"
    assert published(here) == before


def test_a_criterion_on_a_column_that_is_not_there(here: Settings, tmp_path: Path) -> None:
    unknown = {"field": "shoe_size", "operator": ">", "value": 40}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(unknown))
    result = run(edited, "key:cohort+")
    assert reason(result, "cohort_size") == "CC_002"


def test_a_criterion_on_events_reads_the_certified_ones(here: Settings, tmp_path: Path) -> None:
    """Events that change are read when QC certifies them, and not before."""
    tested = {
        "name": "tested before",
        "where": [{"field": "event_type", "operator": "==", "value": "lab_test"}],
        "within_days": [-365, -1],
        "at_least": 2,
    }

    def few(cohort: Any) -> None:
        cohort["minimum_size"] = 1
        cohort["inclusion_criteria"].append(tested)

    edited = changed(here, tmp_path, COHORT_FILE, few)
    assert run(edited, "key:cohort").success
    first = removed(edited, "tested before")
    assert first > 0
    spoil(here, "UPDATE e2i.treatment_events SET event_type = 'lab_test' WHERE event_type = 'consultation'")
    assert run(edited, "key:cohort").success
    assert removed(edited, "tested before") == first
    run(edited, 'key:"raw/*" or key:qc_report or key:cohort')
    assert removed(edited, "tested before") < first


def test_the_cohort_command_reads_what_was_constructed(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Definition, attrition and difference, also of a construction that a gate refused."""
    first = told(monkeypatch, here, "show", PARTITION)
    assert first["config_hash"] == first["versions"][0]["config_hash"]
    assert first["definition"]["inclusion_criteria"][0]["clinical_rationale"]
    shown = told(monkeypatch, here, "attrition", PARTITION, "--order", "3", "--without", "1,2")
    assert shown["standing"] == "published"
    assert shown["attrition"][0]["criterion_order"] == 3
    assert shown["eligible_without"] > shown["result"]["eligible_count"] == 372
    older = {"field": "age_at_diagnosis", "operator": ">=", "value": 70}
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c["inclusion_criteria"].append(older))
    assert not run(edited, "key:cohort").success
    picture = tmp_path / "flow.png"
    refused = told(monkeypatch, edited, "attrition", PARTITION, "--png", str(picture))
    assert refused["standing"].startswith("not published")
    assert picture.read_bytes().startswith(b"\x89PNG")
    new = refused["result"]["config_hash"]
    compared = told(monkeypatch, here, "diff", PARTITION, new[:8])
    assert [(c["change"], c["after"]) for c in compared["criteria"]] == [("added", "age_at_diagnosis >= 70")]
    effect = compared["effect"]
    assert effect["after"] == refused["result"]
    assert (effect["stayed"], effect["gained"], effect["lost"]) == (
        refused["result"]["eligible_count"], 0, 372 - refused["result"]["eligible_count"],
    )  # fmt: skip
    foreign = told(monkeypatch, here, "diff", "kisqali_hr_her2_bc", PARTITION)
    assert foreign["effect"] is None
    assert "columns missing from the journeys: hr_status" in foreign["effect_unavailable"]
    with pytest.raises(NothingToShow, match="neither a YAML file nor a partition"):
        told(monkeypatch, here, "diff", PARTITION, "ffff")


def test_dagit_shows_whom_each_rule_removed(base: Settings) -> None:
    shown = build_resources(base)["store"].current("cohort", PARTITION).display
    metadata = dg.deserialize_value(shown, dict)["metadata"]
    assert metadata["flow"].value.startswith("![](data:image/png;base64,")
    steps = [record.data for record in metadata["attrition"].records]
    assert steps[0]["remaining"] == 625
    assert steps[-1]["remaining"] == 372
    assert {"failed": "none", "no value": "none"}.items() <= metadata["failing_together"].records[
        0
    ].data.items()


def told(monkeypatch: pytest.MonkeyPatch, here: Settings, *arguments: str) -> Any:
    """What `e2i cohort ... --json` prints."""
    monkeypatch.setattr("e2i_assets.cli.session.settings", lambda: here)
    answer = CliRunner().invoke(app, ["cohort", *arguments, "--json"])
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def removed(here: Settings, criterion: str) -> int:
    """Rows that a criterion removed in the published cohort."""
    store = build_resources(here)["store"]
    published = store.read("cohort", PARTITION, store.current("cohort", PARTITION).version, Cohort)
    (entry,) = [e for e in published.result.eligibility_log if e.criterion_name == criterion]
    return entry.removed_count


def test_no_leakage_refuses_the_trap(here: Settings, tmp_path: Path) -> None:
    """Days to treatment are known only afterwards, and their very presence tells the outcome."""
    before = published(here)
    edited = changed(
        here, tmp_path, COHORT_FILE, lambda c: c.update(features={"include": ["days_to_treatment"]})
    )
    result = run(edited, "key:features+")
    assert reason(result, "no_leakage") == "leakage"
    assert {"split_ratios": True, "stable_splits": True}.items() <= checks(result).items()
    after = published(here)
    assert after.pop("features") != before.pop("features")
    assert after == before


def test_split_ratios(here: Settings, tmp_path: Path) -> None:
    """A handful of patients cannot be split 60/20/15/5 within 2 %."""

    def few(cohort: Any) -> None:
        cohort["minimum_size"] = 1
        cohort["inclusion_criteria"].append({"field": "age_at_diagnosis", "operator": ">=", "value": 60})

    result = run(changed(here, tmp_path, COHORT_FILE, few), "key:cohort+")
    assert checks(result)["cohort_size"]
    assert reason(result, "split_ratios") == "too_few_patients"


def test_stable_splits(here: Settings, tmp_path: Path) -> None:
    """Assignments altered from outside would move patients that a model has trained on into test."""
    engine = build_resources(here)["warehouse"].engine
    swap = (
        "UPDATE e2i.ml_split_assignments SET split = CASE split WHEN 'train' THEN 'test' ELSE 'train' END "
        "WHERE patient_id IN (SELECT patient_id FROM (SELECT patient_id, split, row_number() OVER "
        "(PARTITION BY split ORDER BY patient_id) AS n FROM e2i.ml_split_assignments WHERE split IN "
        "('train', 'test')) AS numbered WHERE n <= 5)"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(swap))
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c.update(features={"exclude": ["gender"]}))
    result = run(edited, "key:features+")
    assert reason(result, "stable_splits") == "patients_moved"


def test_patients_who_leave_test_for_train_are_seen(here: Settings, tmp_path: Path) -> None:
    """The sealed splits are not readable here, who is in them is."""
    move = (
        "UPDATE e2i.ml_split_assignments SET split = 'train' WHERE patient_id IN "
        "(SELECT patient_id FROM e2i.ml_split_assignments WHERE split = 'test' ORDER BY 1 LIMIT 3)"
    )
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text(move))
    edited = changed(here, tmp_path, COHORT_FILE, lambda c: c.update(features={"exclude": ["gender"]}))
    assert reason(run(edited, "key:features+"), "stable_splits") == "patients_moved"


def test_a_scope_that_asks_for_temporal_order(here: Settings, tmp_path: Path) -> None:
    """Splits drawn at random before cannot be put in order; drawn anew they are, and a model comes of them."""
    edited = changed(here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(split_order="temporal"))
    resources = build_resources(here)
    before = published(here)
    refused = run(edited, "key:splits")
    assert reason(refused, "split_ratios").startswith("order_against_")
    assert "stability" in reason(refused, "split_ratios")
    assert published(here) == before

    with resources["warehouse"].engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_split_assignments"))
    shutil.rmtree(Path(here.artifacts_url) / "splits")
    assert run(edited, "key:splits").success
    made = resources["store"].read("splits", PARTITION, published(here)["splits"], Splits)
    assert made.train["index_date"].max() < made.validation["index_date"].min()
    assert made.assigned["split"].value_counts(normalize=True)["holdout"] == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("loss", ["key", "file"])
def test_an_evaluation_without_the_vault_is_refused(here: Settings, tmp_path: Path, loss: str) -> None:
    """The model is not judged, and the reason says what is missing."""
    before = published(here)
    with build_resources(here)["warehouse"].engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_split_access"))
    if loss == "key":
        here.vault_key_file.unlink()
    else:
        shutil.rmtree(here.vault_url)
    edited = changed(
        here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(success_criteria={"min_auc": 0.6})
    )
    result = run(edited, 'key:"conversion/evaluation"')
    assert reason(result, "success_criteria") == {"key": "vault_key", "file": "seal_broken"}[loss]
    assert published(here) == before
    with build_resources(here)["warehouse"].engine.connect() as connection:
        outcomes = connection.scalars(sa.text("SELECT outcome FROM e2i.ml_split_attempts ORDER BY id")).all()
    assert outcomes == ["opened", reason(result, "success_criteria")]


def test_assignments_that_another_run_wrote_meanwhile_stand(here: Settings) -> None:
    resources = build_resources(here)
    nobody = pd.DataFrame({"patient_id": [], "split": []})
    known = resources["store"].read("splits", PARTITION, published(here)["splits"], Splits).assigned
    context: Any = SimpleNamespace(partition=PARTITION, warehouse=resources["warehouse"])
    with pytest.raises(SplitError, match="another run has assigned") as refused:
        splits_asset._remember(context, nobody, known.assign(split="train"))
    assert refused.value.code == "assigned_meanwhile"
    assert not any(patient in str(refused.value) for patient in known["patient_id"])


def test_fitted_on_train(here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preprocessor that has seen the validation split as well."""
    honest = preprocessor.fit_preprocessor

    def dishonest(train: Any, features: Any) -> Any:
        return honest(train.sample(frac=0.7, random_state=1), features)

    monkeypatch.setattr(preprocessor, "fit_preprocessor", dishonest)
    before = published(here)
    edited = changed(here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(description="again"))
    result = run(edited, 'key:"conversion/preprocessor"')
    assert reason(result, "fitted_on_train") == "not_train_alone"
    assert published(here) == before


def test_success_criteria(here: Settings, tmp_path: Path) -> None:
    """The model stays; its evaluation and a bundle of it are not published."""
    before = published(here)
    edited = changed(
        here, tmp_path, "scopes/conversion.yaml", lambda c: c.update(success_criteria={"min_auc": 0.999})
    )
    result = run(edited, 'key:"conversion/evaluation"+')
    assert reason(result, "success_criteria") == "criteria_not_met"
    assert published(here) == before


def test_bundle_answers(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = bento_bundle._answer
    monkeypatch.setattr(bento_bundle, "_answer", lambda bundle, probes: honest(bundle, probes) + 1e-5)
    before = published(here)
    result = run(here, 'key:"conversion/bento_bundle"')
    assert reason(result, "bundle_answers") == "bundle_differs"
    assert published(here) == before


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


def spoil(here: Settings, *statements: str) -> None:
    """Change the warehouse as a load of this programme would that nobody validated."""
    noted = (
        "INSERT INTO e2i.ml_load_batches (source, rows, changed, programmes) "
        """VALUES ('sabotage', '{}', '{}', '["Fabhalta/c3g"]')"""
    )
    with build_resources(here)["warehouse"].engine.begin() as connection:
        for statement in (*statements, noted):
            connection.execute(sa.text(statement))


def last_report(here: Settings) -> tuple[str, Any]:
    newest = "SELECT overall_status, report FROM e2i.ml_data_quality_reports ORDER BY id DESC LIMIT 1"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        row = connection.execute(sa.text(newest)).one()
    return row.overall_status, row.report


def test_every_stage_leaves_its_records(base: Settings) -> None:
    expected = {
        "ml_load_batches": 1,
        "ml_gate_results": 12,
        "ml_data_quality_reports": 5,
        "ml_cohort_definitions": 1,
        "ml_cohort_executions": 1,
        "ml_cohort_eligibility_log": 10,
        "ml_split_assignments": 372,
        "ml_split_access": 1,
        "ml_hpo_studies": 1,
        "ml_training_runs": 1,
        "ml_bentoml_services": 1,
    }
    with build_resources(base)["warehouse"].engine.connect() as connection:
        found = {table: connection.scalar(sa.text(f"SELECT count(*) FROM e2i.{table}")) for table in expected}
        shares = connection.execute(
            sa.text("SELECT split, count(*) / 372.0 FROM e2i.ml_split_assignments GROUP BY split")
        ).all()
    assert found == expected
    wanted = {"train": 0.60, "validation": 0.20, "test": 0.15, "holdout": 0.05}
    assert {split: pytest.approx(wanted[split], abs=0.02) for split, _ in shares} == {
        s: float(v) for s, v in shares
    }


def test_an_evaluation_says_what_covers_each_type_of_leakage(base: Settings) -> None:
    """Made from what ran, kept with the artifact, and shown in Dagit as a table."""
    store = build_resources(base)["store"]
    current = store.current("conversion/evaluation", PARTITION)
    rows = {
        row.type: row
        for row in store.read("conversion/evaluation", PARTITION, current.version, Evaluated).leakage_sheet
    }
    assert len(rows) == 8
    assert not [row for row in rows.values() if row.covered_by == NOT_COVERED]
    assert "fitted_on_train passed" in rows["L1.2"].result
    assert "pairs of splits compared by patient and row 6" in rows["L1.4"].result
    assert "0 findings" in rows["L2"].result
    shown = dg.deserialize_value(current.display, dict)["metadata"]["leakage"]
    assert [record.data["type"] for record in shown.records] == list(rows)


def test_the_published_splits_can_be_audited_without_the_sealed_ones(base: Settings) -> None:
    (report,) = audit_partition(base, build_resources(base)["store"], PARTITION).values()
    assert report.ok
    assert report.examined["contamination"] == 1
    assert report.examined["availability"] == report.examined["target"] > 0
    with build_resources(base)["warehouse"].engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM e2i.ml_split_access")) == 1


def test_the_quality_report_is_shown_with_its_parts_history_and_pages(base: Settings) -> None:
    store = build_resources(base)["store"]
    current = store.current("qc_report", PARTITION)
    shown = dg.deserialize_value(current.display, dict)["metadata"]
    assert {"score", "lowest_dimension", "fix_first", "grades", "dimensions", "history", "trend"} <= set(
        shown
    )
    (run,) = shown["history"].records
    assert run.data["overall_score"] == pytest.approx(shown["score"].value, abs=1e-4)
    assert [r.data["table"] for r in shown["grades"].records][-1] == "all tables"
    docs = page_of(base, shown["data_docs"].value)
    pages = [docs, *docs.parent.glob("*.html"), docs.parent.parent / "report.html"]
    assert len(pages) == 8
    for page in pages:
        text = page.read_text()
        assert not [value for value in ("pt_0", "patient_0", "hcp_0", "http") if value in text]


def test_one_mlflow_run_holds_what_was_made(base: Settings) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=build_resources(base)["tracking"].uri)
    experiment = client.get_experiment_by_name("e2i_conversion")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["partition"] == PARTITION
    assert run.data.tags["success_criteria"] == "passed"
    assert {"algorithm", "seed", "data_splits"} <= set(run.data.params)
    assert {"train_auc", "validation_auc", "test_roc_auc", "test_auc_low"} <= set(run.data.metrics)
    kept = {
        file.path
        for folder in ("plots", "preprocessor")
        for file in client.list_artifacts(run.info.run_id, folder)
    }
    assert kept == {
        "plots/importance.png",
        "plots/roc.png",
        "plots/calibration.png",
        "preprocessor/preprocessor.joblib",
    }
    assert client.search_logged_models([experiment.experiment_id])


def test_a_refresh_moves_nobody_and_splits_the_new(here: Settings) -> None:
    """More patients arrive: those assigned stay where they are, and the ratios hold."""
    engine = build_resources(here)["warehouse"].engine
    query = sa.text("SELECT patient_id, split FROM e2i.ml_split_assignments")
    with engine.connect() as connection:
        before = dict(connection.execute(query).tuples().all())
    spoil(here, "UPDATE e2i.patient_journeys SET last_observation_date = last_observation_date + 400")
    result = run(here, "*")
    assert result.success
    with engine.connect() as connection:
        after = dict(connection.execute(query).tuples().all())
    assert len(after) > len(before)
    assert {patient: after[patient] for patient in before} == before
