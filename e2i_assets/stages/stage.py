"""The one helper that makes an asset of ours: write, audit, publish.

A stage computes its artifact, the artifact store keeps it, the gates judge it, and only when all pass is it
published (https://docs.dagster.io/guides/test/asset-checks). When one does not, the step fails, the last good
version stays in force and nothing downstream has anything new to read, in this run or in any later one. When
nothing that a stage depends on has changed, its published version stands and nothing is computed.
"""

import typing
import warnings as python_warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from e2i_assets.errors import E2IError
from e2i_assets.gates.verdict import Gate, Verdict, not_judged, refusal, refusals
from e2i_assets.json_files import to_json
from e2i_assets.partitions import partitions, serves
from e2i_assets.resources.artifacts import Artifact
from e2i_assets.resources.disk import full_disk, naming_full_disk
from e2i_assets.resources.io_manager import GATES, SCOPE, asset_name
from e2i_assets.resources.pages import PAGES
from e2i_assets.resources.retries import lost_connections_retried
from e2i_assets.resources.store import Published
from e2i_assets.stages import display
from e2i_assets.stages.alerting import alert_of_refusal
from e2i_assets.stages.code_version import code_version, sources
from e2i_assets.stages.context import StageContext
from e2i_assets.stages.downstream import tell_downstream
from e2i_assets.stages.lineage_events import tell_end, told
from e2i_assets.stages.reasons import FORCED, Reason, reasons
from e2i_assets.stages.recipe import RECIPES, Lost, Recipe
from e2i_assets.stages.unforeseen import without_data
from e2i_assets.warehouse.queries.gates import GateResult, record_gate_results
from e2i_assets.warehouse.queries.publications import Made, Publication, record_publication

FORCE = "e2i/force"
"""Run tag: compute although nothing changed."""

RESOURCES = {"settings", "warehouse", "store", "vault", "tracking", "turn", "trace"}


def nothing_more() -> None:
    """Publishing the artifact is all there is to do."""


@dataclass(frozen=True)
class StageResult:
    """What a stage made.

    Attributes:
        artifact: what is published.
        metadata: what a person wants to see in Dagit; never a patient's row.
        gate_input: what the gates judge, the artifact itself unless said otherwise.
        warning_input: what the warnings judge, the artifact itself unless said otherwise.
        attributes: facts about the making that are not content (they do not enter the data version).
        pages: name to file of the artifact that a person may open; linked in Dagit, also when a gate refuses.
        on_publish: what else takes effect with the artifact. Called when every gate has passed, before the
            artifact is published: a run that dies in between leaves it done, so the same stage run again must
            find it done and come to the same result. An error of ours in it refuses the artifact.
    """

    artifact: Artifact
    metadata: Mapping[str, Any] = field(default_factory=dict)
    gate_input: Any = None
    warning_input: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    on_publish: Callable[[], None] = nothing_more


Compute = Callable[..., StageResult]


def stage(
    *,
    key: dg.AssetKey | str,
    group: str,
    description: str,
    kinds: set[str],
    gates: Sequence[Gate] = (),
    warnings: Sequence[Gate] = (),
    inputs: Mapping[str, dg.AssetKey | str] | None = None,
    scope: str | None = None,
    config: Callable[[StageContext], Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    lost: Lost | None = None,
) -> Callable[[Compute], dg.AssetsDefinition]:
    """Make an asset of a function `(context: StageContext, **inputs) -> StageResult`.

    A change of the function's module, or of what it imports (`code_version`), makes the published version
    stale.

    Args:
        gates: all must pass before anything is published.
        warnings: checks that only tell: whatever they find, the artifact is published, and no record of a
            gate is kept of them.
        inputs: parameter name to the asset that it loads; each parameter's annotation is its artifact class.
        scope: the scope that the stage belongs to; of a partition that it does not serve nothing is computed
            or published, and no gate is asked.
        config: JSON-able configuration that decides the result, also what changes outside (a watermark).
        lost: tells what is wrong with something that the published version stands for and that is kept
            elsewhere; None when nothing is.

    An error of ours on data or configuration is no crash: its text, which names no value, is the verdict of
    the gate that answers for it, as is a library that cannot be imported.
    """
    asset_key = dg.AssetKey.from_coercible(key)
    upstream = {name: dg.AssetKey.from_coercible(value) for name, value in (inputs or {}).items()}

    def decorate(compute: Compute) -> dg.AssetsDefinition:
        names = tuple(gate.name for gate in gates)
        recipe = Recipe(compute.__module__, upstream, config, names, lost, scope)
        artifact_classes = {name: typing.get_type_hints(compute)[name] for name in upstream}

        @dg.asset(
            key=asset_key,
            group_name=group,
            description=description,
            kinds=kinds,
            ins={name: dg.AssetIn(key=source, metadata={SCOPE: scope}) for name, source in upstream.items()},
            partitions_def=partitions(),
            code_version=code_version(recipe.module),
            output_required=False,
            required_resource_keys=RESOURCES,
            metadata={
                GATES: list(names),
                **({SCOPE: scope} if scope else {}),
                **(metadata or {}),
            },
            check_specs=[
                *(_check_spec(gate, asset_key, blocking=True) for gate in gates),
                *(_check_spec(warning, asset_key, blocking=False) for warning in warnings),
            ],
        )
        def asset(context: dg.AssetExecutionContext, **inputs: Published) -> Iterator[Any]:
            config_dir = context.resources.settings.config_dir
            if scope and not serves(config_dir, scope, context.partition_key):
                context.log.info(display.passed_over(scope, context.partition_key))
                yield display.not_served(scope, context.partition_key)
                for check in context.selected_asset_check_keys:
                    # Nothing is judged, so there is no result; Dagster wants an output all the same.
                    output = context.assets_def.get_output_name_for_asset_check_key(check)
                    yield dg.Output(None, output_name=output)
                return
            with lost_connections_retried():
                stage_context = recipe.context(context, inputs)

            def result() -> StageResult:
                artifacts = {
                    name: stage_context.open(inputs[name], kind) for name, kind in artifact_classes.items()
                }
                return compute(stage_context, **artifacts)

            yield from make(stage_context, asset_key, result, gates=gates, warnings=warnings, lost=lost)

        RECIPES[asset.op] = recipe
        return asset

    return decorate


def make(
    context: StageContext,
    asset_key: dg.AssetKey,
    compute: Callable[[], StageResult],
    *,
    gates: Sequence[Gate] = (),
    warnings: Sequence[Gate] = (),
    lost: Lost | None = None,
) -> Iterator[Any]:
    """What a stage yields: the published version if it is current, else what is made; with the checks.

    Raises:
        DiskFull: there was no room; that is no verdict on the data.
        Unforeseen: a library failed; without its text, which may quote a patient's values.
        dagster.RetryRequested: the database did not answer any more.
    """
    name = asset_name(asset_key)
    with (
        context.trace.stage(f"stage {name}", asset=name, partition=context.partition) as context.span,
        without_data(),
        lost_connections_retried(),
        naming_full_disk(context.settings),
    ):
        if context.turn:
            context.turn.keep()
        yield from _make(context, asset_key, compute, gates, warnings, lost)


def _make(
    context: StageContext,
    asset_key: dg.AssetKey,
    compute: Callable[[], StageResult],
    gates: Sequence[Gate],
    warnings: Sequence[Gate],
    lost: Lost | None,
) -> Iterator[Any]:
    name = asset_name(asset_key)
    forced = context.dagster.run.tags.get(FORCE)
    published = None if forced else context.store.current(name, context.partition)
    why = reasons(context, published, [gate.name for gate in gates], lost) if not forced else [FORCED]
    if published and not why:
        context.span.set(outcome="reused", version=published.version)
        yield display.republished(published)
        return
    for reason in why:
        log = context.log.warning if reason.code == "damaged" else context.log.info
        log(f"{name} is made: {reason.text}")
    try:
        with told(context, name):
            result = compute()
            version = context.store.write(name, context.partition, result.artifact)
            gate_input = result.artifact if result.gate_input is None else result.gate_input
            verdicts = _judge(context, gates, gate_input, blocking=True)
            if all(verdict.passed for verdict in verdicts.values()):
                result.on_publish()
    except (E2IError, ImportError) as error:
        if full_disk(error, context.settings) or not getattr(error, "on_data", True):
            raise
        yield from _refuse(context, asset_key, gates, warnings, error)
        return
    _record(context, name, verdicts, version)
    tell_end(context, name, version, verdicts, result.metadata)
    warned_of = result.artifact if result.warning_input is None else result.warning_input
    warned = _judge(context, warnings, warned_of, blocking=False)
    yield from _publish(context, asset_key, result, version, verdicts, warned, why)


def _judge(
    context: StageContext, gates: Sequence[Gate], gate_input: Any, *, blocking: bool
) -> dict[str, Verdict]:
    """What each gate, or each check that only warns, says."""
    verdicts = {}
    for gate in gates:
        with context.span.child(f"gate {gate.name}", partition=context.partition, blocking=blocking) as span:
            verdict = verdicts[gate.name] = gate.verdict(gate_input)
            span.set(passed=verdict.passed, reason=verdict.reason)
            span.error_type = verdict.reason if blocking and not verdict.passed else None
    return verdicts


def _check_spec(gate: Gate, asset_key: dg.AssetKey, *, blocking: bool) -> dg.AssetCheckSpec:
    with python_warnings.catch_warnings():
        # Partitioned checks are preview in Dagster 1.13; this is the only place that makes them.
        python_warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            gate.name,
            asset=asset_key,
            description=gate.description,
            blocking=blocking,
            partitions_def=partitions(),
        )


def _publish(
    context: StageContext,
    asset_key: dg.AssetKey,
    result: StageResult,
    version: str,
    verdicts: Mapping[str, Verdict],
    warned: Mapping[str, Verdict],
    why: Sequence[Reason],
) -> Iterator[Any]:
    """The materialization that makes a version current, where all verdicts passed; else the checks alone."""
    name = asset_name(asset_key)
    address = context.store.locate(name, context.partition, version)
    pages = f"{PAGES}/{name}/{context.partition}/{version}"
    where = {"dagster/uri": address} | {
        page: dg.MetadataValue.url(f"{pages}/{file}") for page, file in result.pages.items()
    }
    checks = [
        display.check(asset_key, check, verdict, _about(context), where, blocking=check in verdicts)
        for check, verdict in {**verdicts, **warned}.items()
    ]
    for warning, verdict in warned.items():
        if not verdict.passed:
            context.log.warning(f"{warning}: {verdict.summary}")
    if not all(verdict.passed for verdict in verdicts.values()):
        for gate, verdict in verdicts.items():
            if not verdict.passed:
                context.log.error(f"{gate}: {verdict.summary}")
        _span_of_refusal(context, verdicts)
        tell_downstream(context, asset_key, _about(context))
        yield from checks
        return
    context.span.set(outcome="published", version=version)
    inputs = {f"input_{k}": f"{v.version} (run {v.run_id[:8]})" for k, v in context.inputs.items()}
    metadata = display.rounded({**result.metadata, **where, **inputs})
    published = Published(
        asset=name,
        partition=context.partition,
        version=version,
        fingerprint=context.fingerprint,
        gates={gate: verdict.passed for gate, verdict in verdicts.items()},
        attributes=dict(result.attributes),
        display=display.serialize(metadata, checks),
        run_id=context.run_id,
        code=context.code,
    )
    record_publication(
        context.warehouse,
        Publication(
            name, context.partition, version, context.fingerprint, context.code, context.config,
            {k: Made(v.asset, v.version, v.run_id) for k, v in context.inputs.items()},
            published.attributes, context.run_id,
        ),
        sources(context.module),
    )  # fmt: skip
    yield dg.MaterializeResult(
        asset_key=asset_key,
        value=published,
        metadata={
            **metadata,
            display.REUSED: False,
            display.WHY: "; ".join(reason.text for reason in why),
            **({display.CODE_CHANGED: True} if any(r.code == "code_changed" for r in why) else {}),
            **({"trace": context.trace.trace_id} if context.trace.kept else {}),
        },
        data_version=dg.DataVersion(version),
        # Results travel with the materialization that they judged; yielded before it they would
        # have no target (dagster-io/dagster#16732).
        check_results=checks,
    )


def _refuse(
    context: StageContext,
    asset_key: dg.AssetKey,
    gates: Sequence[Gate],
    warnings: Sequence[Gate],
    error: E2IError | ImportError,
) -> Iterator[dg.AssetCheckResult]:
    verdict = refusal(error)
    if not gates:
        raise dg.Failure(verdict.summary, allow_retries=False) from error
    verdicts = refusals(gates, error)
    _record(context, asset_name(asset_key), verdicts)
    _span_of_refusal(context, verdicts)
    context.log.error(verdict.summary)
    tell_downstream(context, asset_key, _about(context))
    for gate, answer in verdicts.items():
        yield display.check(asset_key, gate, answer, _about(context), {})
    for warning in warnings:
        unjudged = not_judged(", ".join(verdicts))
        yield display.check(asset_key, warning.name, unjudged, _about(context), {}, blocking=False)


def _span_of_refusal(context: StageContext, verdicts: Mapping[str, Verdict]) -> None:
    gate, reason = next((name, verdict.reason) for name, verdict in verdicts.items() if not verdict.passed)
    context.span.set(outcome="refused", gate=gate)
    context.span.error_type = reason


def _about(context: StageContext) -> str:
    return f"{context.partition}, {context.settings.day_of_judgement}"


def _record(
    context: StageContext, asset: str, verdicts: Mapping[str, Verdict], version: str | None = None
) -> None:
    record_gate_results(
        context.warehouse,
        [
            GateResult(
                asset=asset, partition=context.partition, version=version, gate=name, passed=verdict.passed,
                reason=verdict.reason, details=to_json(verdict), run_id=context.run_id,
            )
            for name, verdict in verdicts.items()
        ],
    )  # fmt: skip
    alert_of_refusal(context, asset, verdicts)
