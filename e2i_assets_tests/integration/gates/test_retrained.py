"""A retrained version beside the one before it: the same rows of validation, no sealed split opened."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import joblib
import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from e2i_assets.assets.attribute_names import BUNDLE_FILES
from e2i_assets.automation.comparison import judge
from e2i_assets.build import build_resources
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.training.identity import fingerprint
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.monitoring.retraining import Retraining
from e2i_assets.registry.ledger import Entry
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.alerts import alerts
from e2i_assets.warehouse.queries.publications import Made, publication_with, record_publication
from e2i_assets.warehouse.queries.registry import model_of, registry
from e2i_assets.warehouse.queries.retraining import Wanted, request_retraining, retraining_of, started
from e2i_assets.warehouse.warehouse import Warehouse
from e2i_assets_tests.integration.gates.partition import PARTITION

NAME = f"e2i-conversion-{PARTITION}"


def knows_nothing(model: TrainedModel) -> TrainedModel:
    """The same model, but for its answer, which is the same for everybody."""
    preprocessor = model.pipeline[0]
    answer = DummyClassifier(strategy="prior").fit(np.zeros((4, 1)), [0, 0, 1, 1])
    pipeline = Pipeline([("preprocessor", preprocessor), ("model", answer)])
    buffer = io.BytesIO()
    joblib.dump(pipeline, buffer)
    return replace(model, pipeline=pipeline, fingerprint=fingerprint(pipeline), _pickle=buffer.getvalue())


def register_another(here: Settings) -> None:
    """Version 2, whose model knows nothing."""
    resources = build_resources(here)
    warehouse, store = resources["warehouse"], resources["store"]
    version = model_of(warehouse, NAME).version(1)
    bundle = publication_with(
        warehouse, "conversion/bento_bundle", PARTITION, {BUNDLE_FILES: version.files_hash}
    )
    assert bundle is not None
    made = bundle.inputs["model"]
    model = knows_nothing(store.read(made.asset, PARTITION, made.version, TrainedModel))
    stored = store.write(made.asset, PARTITION, model)
    inputs = {**bundle.inputs, "model": Made(made.asset, stored, "retrained")}
    record_publication(
        warehouse,
        replace(
            bundle, version="b2", inputs=inputs, attributes={BUNDLE_FILES: "another"}, run_id="retrained"
        ),
        {},
    )
    with registry(warehouse) as ledger:
        ledger.add(replace(version, version=2, mlflow_version=2, files_hash="another", run_id="retrained"))
        number = ledger.model(NAME).next_sequence
        ledger.append(Entry(NAME, number, 2, "registered", None, "staging", "e2i", "e2i", ledger.now()))


def retrain(warehouse: Warehouse, old: int) -> Retraining:
    wanted = Wanted(PARTITION, "conversion", NAME, old, "person", "a test", "Anna Smith")
    made = request_retraining(warehouse, wanted, approval=False)
    assert made is not None
    running = started(warehouse, made.id, 1, "retrained")
    assert running is not None
    return running


def counted(warehouse: Warehouse) -> Any:
    with warehouse.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT count(*) FROM e2i.ml_split_attempts"))


def test_a_retrained_version_is_held_against_the_one_before(here: Settings) -> None:
    resources = build_resources(here)
    warehouse, store = resources["warehouse"], resources["store"]
    models = ModelRegistry(here, warehouse, resources["tracking"])
    scope: Any = load_scopes(here.config_dir / "scopes")["conversion"]
    opened = counted(warehouse)

    def outcome(old: int, runs: set[str]) -> Retraining:
        asked = retrain(warehouse, old)
        judge(warehouse, store, models, scope, asked, runs)
        ended = retraining_of(warehouse, asked.id)
        assert ended is not None
        assert ended.completed_at is not None
        return ended

    nothing = outcome(1, {"of nothing"})
    assert (nothing.status, nothing.note) == ("failed", "what its run made is not on record")
    register_another(here)
    worse = outcome(1, {"retrained"})
    assert (worse.status, worse.new_model_version, worse.metric_name) == ("worse", 2, "roc_auc")
    low, high = worse.comparison["difference_interval"]
    assert low < worse.comparison["difference"] < high < 0
    assert worse.comparison["rows"] == model_of(warehouse, NAME).version(1).samples["validation"]
    stages = model_of(warehouse, NAME).stages()
    assert (stages[1], stages[2]) == ("staging", "archived")
    assert worse.new_metric_value == pytest.approx(0.5)
    assert worse.old_metric_value is not None
    assert worse.improvement == pytest.approx(0.5 - worse.old_metric_value)
    assert worse.comparison["split"] == "validation"
    better = outcome(2, {model_of(warehouse, NAME).version(1).run_id})
    assert (better.status, better.improvement) == ("better", pytest.approx(-worse.improvement))
    itself = outcome(1, {model_of(warehouse, NAME).version(1).run_id})
    assert (itself.status, itself.note) == ("level", f"the same model came out, {NAME} version 1")
    assert model_of(warehouse, NAME).stages() == stages
    assert counted(warehouse) == opened
    with warehouse.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM e2i.ml_publications WHERE version = 'b2'"))
    gone = outcome(2, {model_of(warehouse, NAME).version(1).run_id})
    assert (gone.status, gone.new_model_version) == ("failed", 1)
    assert "how e2i-conversion-fabhalta_c3g version 2 was made is not on record" in str(gone.note)
    (alert,) = [one for one in alerts(warehouse) if one.severity == "medium"]
    assert "e2i retrain request" in alert.next_step
