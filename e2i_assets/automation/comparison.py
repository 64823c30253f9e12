"""Job: a retrained version is held against the one before it, on the same rows of validation.

Test opens once for a model, at its own evaluation, and may have had other rows then. On validation neither
was fitted, but each was tuned and calibrated on the rows that there were then: it flatters both, and the new
version more, by the rows that have come since.
"""

from typing import Any

import dagster as dg

from e2i_assets.assets.attribute_names import BUNDLE_FILES
from e2i_assets.assets.scoped import labelled
from e2i_assets.assets.version_model import model_of_version
from e2i_assets.errors import E2IError
from e2i_assets.json_files import to_json
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.modeling.evaluation.comparing import compared_with
from e2i_assets.modeling.evaluation.evaluate import require_trained_for
from e2i_assets.modeling.metrics.figures import Compared
from e2i_assets.modeling.scopes.files import load_scopes
from e2i_assets.modeling.scopes.scope import PredictiveScope
from e2i_assets.modeling.training.model import TrainedModel
from e2i_assets.monitoring.alerts.alert import Alert, Severity
from e2i_assets.monitoring.retraining import Retraining, verdict_of
from e2i_assets.registry.ledger import Model, Version
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.stages.unforeseen import without_data
from e2i_assets.warehouse.queries.publications import publication_by
from e2i_assets.warehouse.queries.registry import model_of
from e2i_assets.warehouse.queries.retraining import ended, retraining_of
from e2i_assets.warehouse.warehouse import Warehouse

JOB = "compare_retrained"
RETRAINING, COMPARISON = "e2i/retraining", "e2i/retraining-comparison"
"""Run tags: the number of the retraining that the run is of, or whose comparison it is."""


class NotComparable(E2IError, RuntimeError):
    """Two versions cannot be held against each other: something of them is gone."""

    code = "not_comparable"
    next_step = "Look at both with `e2i models compare`, and decide by what they reached on test."


def build_comparison_job() -> dg.JobDefinition:
    """The job that `retraining_sensor` asks for once a retraining's run has succeeded."""

    @dg.op(required_resource_keys={"settings", "warehouse", "store", "tracking"})
    def compare(context: dg.OpExecutionContext) -> None:
        resources, number = context.resources, int(context.run.tags[COMPARISON])
        retraining = retraining_of(resources.warehouse, number)
        assert retraining is not None
        runs = context.instance.get_runs(dg.RunsFilter(tags={RETRAINING: str(number)}))
        scope = load_scopes(resources.settings.config_dir / "scopes")[retraining.scope]
        assert isinstance(scope, PredictiveScope)
        registry = ModelRegistry(resources.settings, resources.warehouse, resources.tracking)
        with without_data():
            judge(
                resources.warehouse,
                resources.store,
                registry,
                scope,
                retraining,
                {run.run_id for run in runs},
            )

    @dg.job(name=JOB, description="Holds a retrained version against the one before, on the same rows.")
    def compare_retrained() -> None:
        compare()

    return compare_retrained


def judge(
    warehouse: Warehouse,
    store: ArtifactStore,
    registry: ModelRegistry,
    scope: PredictiveScope,
    retraining: Retraining,
    run_ids: set[str],
) -> None:
    """Compare what a retraining's runs made with the version before, and write down what came of it.

    One that cannot be compared is no better as far as anybody knows: it ends as failed, with the reason. A
    worse one is archived, lest it answers as the newest in staging.
    """
    model = model_of(warehouse, retraining.model_name)
    old = model.version(retraining.old_model_version)
    try:
        new = _came_out(warehouse, retraining, model, run_ids)
    except NotComparable as error:
        _end(warehouse, retraining, "failed", str(error), "medium")
        return
    if new == old:
        _end(warehouse, retraining, "level", f"the same model came out, {old.title}", "low")
        return
    try:
        compared, rows = compared_on_validation(warehouse, store, scope, old, new)
        verdict = verdict_of(compared.difference_interval, scope.problem.greater_is_better)
        if verdict is None:
            raise NotComparable(
                f"{rows} rows of validation give no interval of {scope.problem.primary_metric}"
            )
    except E2IError as error:
        reason = f"{new.title} is registered, and cannot be compared: {error}"
        _end(warehouse, retraining, "failed", reason, "medium", new_model_version=new.version)
        return
    figures = _in_words(scope.problem.primary_metric, compared, old, new, rows)
    if verdict == "worse":
        registry.set_aside(new, f"worse than version {old.version}: {figures}")
    _end(
        warehouse, retraining, verdict, figures, "low",
        new_model_version=new.version, metric_name=scope.problem.primary_metric,
        old_metric_value=compared.value, new_metric_value=compared.value + compared.difference,
        improvement=compared.difference if scope.problem.greater_is_better else -compared.difference,
        comparison={"split": "validation", "rows": rows, **to_json(compared)},
    )  # fmt: skip


def _in_words(metric: str, compared: Compared, old: Version, new: Version, rows: int) -> str:
    assert compared.difference_interval is not None
    low, high = compared.difference_interval
    return (
        f"{new.title} has {metric} {compared.value + compared.difference:.4g} on the {rows} rows of "
        f"validation, version {old.version} {compared.value:.4g}: {compared.difference:+.3g} "
        f"(95 % {low:+.3g} to {high:+.3g})"
    )


def compared_on_validation(
    warehouse: Warehouse, store: ArtifactStore, scope: PredictiveScope, old: Version, new: Version
) -> tuple[Compared, int]:
    """Both versions on the validation rows that the new one was tuned on, and how many these are.

    Raises:
        E2IError: a model or the rows are gone, or have not what a model needs.
    """
    champion, challenger = (_model(warehouse, store, version) for version in (old, new))
    for model in (champion, challenger):
        require_trained_for(model, scope.problem)
    splits = store.read("splits", new.partition, new.data_version, Splits)
    names = list(dict.fromkeys((*challenger.features, *champion.features)))
    rows = labelled("validation", splits.validation, names, scope)
    ours, theirs = (model.predict(rows.X[list(model.features)]) for model in (challenger, champion))
    return compared_with(old.title, scope.problem, rows.y, ours, theirs), len(rows.y)


def _model(warehouse: Warehouse, store: ArtifactStore, version: Version) -> TrainedModel:
    model = model_of_version(warehouse, store, version, TrainedModel)
    if model is None:
        raise NotComparable(f"how {version.title} was made is not on record")
    return model


def _came_out(warehouse: Warehouse, retraining: Retraining, model: Model, run_ids: set[str]) -> Version:
    """The version that a retraining's runs ended with.

    The run of a load may have registered it before: trained on the same data by the same code it is the same.
    """
    bundle = publication_by(warehouse, f"{retraining.scope}/bento_bundle", retraining.partition, run_ids)
    files = bundle.attributes.get(BUNDLE_FILES) if bundle else None
    for version in model.versions:
        if version.files_hash == files:
            return version
    raise NotComparable("what its run made is not on record")


def _end(
    warehouse: Warehouse, retraining: Retraining, status: str, reason: str, severity: Severity, **of: Any
) -> None:
    alert = outcome_alert(retraining, status, reason, severity)
    ended(warehouse, retraining.id, status, alert, note=reason, **of)


def outcome_alert(retraining: Retraining, status: str, reason: str, severity: Severity) -> Alert:
    """What came of a retraining, and what a person does with that."""
    next_steps = {
        "better": f"Promote it where you want it served: e2i models list {retraining.model_name}",
        "level": "Nothing speaks for the new one; find out what has changed: e2i lineage",
        "worse": "It is archived, the version before stays; find out what has changed: e2i lineage",
        "refused": f"Read the gate in Dagit, mend it, then: e2i retrain request {retraining.scope} "
        f"-p {retraining.partition}",
        "failed": f"Read the run in Dagit, then: e2i retrain request {retraining.scope} "
        f"-p {retraining.partition}",
    }
    return Alert(
        "retraining",
        severity,
        subject=f"retraining of {retraining.title}",
        message=f"Retraining {retraining.id} of {retraining.title}: {status}. {reason}.",
        next_step=next_steps[status],
        partition=retraining.partition,
        scope=retraining.scope,
        model_name=retraining.model_name,
        model_version=retraining.old_model_version,
        details={"retraining": retraining.id, "status": status},
    )
