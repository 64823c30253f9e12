"""The scope uplift of one partition, from the splits that another scope had made to a bundle and a card."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from e2i_assets.assets.attribute_names import BUNDLE_FILES, MLFLOW_RUN
from e2i_assets.build import build_resources
from e2i_assets.ingest.synthetic import GeneratorSpec, generate
from e2i_assets.lineage.reproduce import Reproducer
from e2i_assets.modeling.card.records import ModelCard
from e2i_assets.modeling.uplift.cross_validated import CrossValidated
from e2i_assets.modeling.uplift.estimate import EffectEstimate
from e2i_assets.modeling.uplift.evaluation import UpliftEvaluated
from e2i_assets.modeling.uplift.model import UpliftModel
from e2i_assets.monitoring.effects import (
    AVERAGE,
    BEYOND_PREDICTED,
    OUTSIDE_OVERLAP,
    TREATED_BEYOND_EXPECTED,
)
from e2i_assets.monitoring.model_profile import PREDICTION, PROPENSITY
from e2i_assets.registry.ledger import Version
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.causal import newest_causal_validation
from e2i_assets.warehouse.queries.monitoring import drift_of, monitoring_history, performance_of
from e2i_assets_tests.conftest import shipped_config
from e2i_assets_tests.integration.gates.partition import PARTITION, checks, run
from e2i_assets_tests.integration.gates.test_drift_report import newcomers, watched
from e2i_assets_tests.registry_world import START

GATES = ("answerable", "overlap", "balance", "refutation", "beats_constant_effect", "bundle_answers")


def test_an_effect_goes_the_whole_way_and_opens_test_once(here: Settings, tmp_path: Path) -> None:
    here = here.model_copy(update={"config": shipped_config(tmp_path / "asked", ["uplift"])})
    result = run(here, '+key:"uplift/reference_profile" or +key:"uplift/model_card"')
    assert result.success
    judged = checks(result)
    assert {gate: judged[gate] for gate in GATES} == dict.fromkeys(GATES, True)

    store = build_resources(here)["store"]

    def published(stage: str, kind: type) -> object:
        asset = f"uplift/{stage}"
        return store.read(asset, PARTITION, store.current(asset, PARTITION).version, kind)

    estimate, model = published("effect_estimate", EffectEstimate), published("trained_model", UpliftModel)
    evaluated, card = published("evaluation", UpliftEvaluated), published("model_card", ModelCard)
    assert isinstance(estimate, EffectEstimate)
    assert isinstance(model, UpliftModel)
    assert isinstance(evaluated, UpliftEvaluated)
    assert isinstance(card, ModelCard)
    validation = published("cross_validation", CrossValidated)
    assert isinstance(validation, CrossValidated)
    asked = {library.library: library.effect is not None for library in validation.validation.libraries}
    assert asked == dict.fromkeys(("dowhy", "econml", "causalml"), True)
    recorded = newest_causal_validation(build_resources(here)["warehouse"], PARTITION, "uplift")
    assert recorded is not None
    assert recorded.consensus_effect == validation.validation.consensus_effect
    assert all(library.seconds > 0 for library in recorded.libraries)
    effect = estimate.report.effect
    assert effect is not None
    assert estimate.report.naive is not None
    assert "hcp_engaged" not in model.features
    made = generate(GeneratorSpec(scale="small")).truth["partitions"][PARTITION]
    assert effect.low < made["average_effect_probability"] < effect.high
    assert effect.estimate < estimate.report.naive.estimate
    assert model.constant == (not model.choice.beats_constant)
    assert evaluated.model_fingerprint == model.fingerprint
    assert bool(model.importance) != ("There are no SHAP values" in card.page)
    for words in (
        "Identification",
        "No confounder is missing",
        "E-value",
        "dowhy",
        "of clusters by hcp_<wbr>id",
        "beats_<wbr>constant_<wbr>effect",
    ):
        assert words in card.page

    again = run(here, 'key:"uplift/evaluation"', force=True)
    assert again.success
    opened = "SELECT count(*) FROM e2i.ml_split_access WHERE purpose = 'uplift/evaluation'"
    with build_resources(here)["warehouse"].engine.connect() as connection:
        assert connection.execute(sa.text(opened)).scalar_one() == 1

    newcomers_are_watched(here)

    resources = build_resources(here)
    built = store.current("uplift/bento_bundle", PARTITION)
    trained = store.current("uplift/trained_model", PARTITION)
    as_registered = Version(
        f"e2i-uplift-{PARTITION}", "uplift", PARTITION, "causal_inference", model.algorithm, model.fingerprint,
        "causal-service", f"e2i-uplift-{PARTITION}:{built.fingerprint}", built.attributes[BUNDLE_FILES], "", {}, {}, {},
        trained.attributes[MLFLOW_RUN], "r", 1, 1, START,
    )  # fmt: skip
    done = Reproducer(here, resources["warehouse"], store).reproduce(as_registered)
    assert (done.equal, done.differences, done.changes.code) == (True, (), False)
    assert set(done.metrics) == set(model.metrics)


def newcomers_are_watched(here: Settings) -> None:
    """The patients whom the version was not trained on, as if they had come since."""
    new = newcomers(here)
    assert watched(here).success
    warehouse = build_resources(here)["warehouse"]
    (run,) = monitoring_history(warehouse, partition=PARTITION, scope="uplift")
    columns = {(one["drift_type"], one["feature_name"]): one for one in drift_of(warehouse, run["id"])}
    figures = {(one["metric_name"], one["source"]): one for one in performance_of(warehouse, run["id"])}
    assert {("data", "hcp_engaged"), ("data", PROPENSITY), ("prediction", PREDICTION)} <= columns.keys()
    assert [name for name, one in columns.items() if one["drift_detected"]] == []
    assert run["new_patients"] == pytest.approx(new, rel=0.2)
    assert run["summary"]["assumption"].startswith("Measured effects assume")
    for name in (AVERAGE, BEYOND_PREDICTED, TREATED_BEYOND_EXPECTED, OUTSIDE_OVERLAP):
        figure = figures[name, "measured"]
        assert figure["ci_lower"] < figure["metric_value"] < figure["ci_upper"]
        assert figure["baseline_lower"] < figure["baseline_value"] < figure["baseline_upper"]
    assert figures[AVERAGE, "estimated"]["metric_value"] == pytest.approx(
        figures[AVERAGE, "measured"]["baseline_value"]
    )
