"""`e2i drift`: what has become of versions since they were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e2i_assets.automation.jobs import WATCH
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.session import open_session
from e2i_assets.registry.ledger import version_number
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.settings import Settings
from e2i_assets.warehouse.queries.monitoring import drift_of, monitoring_history, performance_of
from e2i_assets.warehouse.warehouse import Warehouse


def run_drift(
    model: str | None, version: str | None, partition: str | None, *, watch: bool, as_json: bool
) -> int:
    """Show the newest comparison of each version; 1 where one found drift, or a run failed.

    Raises:
        RegistryError: there is no such model or version.
    """
    here, warehouse = open_session()
    number = version_number(version) if version else None
    if model:
        known = ModelRegistry(here, warehouse, ExperimentTracking(here)).model(model)
        partition = known.versions[-1].partition
        if number is not None:
            known.version(number)
    failed = watch and not _watch(here, partition, as_json=as_json)
    newest = _newest(warehouse, model, number, partition)
    comparisons = [
        (run, drift_of(warehouse, run["id"]), performance_of(warehouse, run["id"])) for run in newest
    ]
    if as_json:
        print_json({"comparisons": [{**run, "columns": c, "figures": f} for run, c, f in comparisons]})
    else:
        for run, columns, figures in comparisons:
            _show(run, columns, figures)
        if not comparisons:
            say("Nothing has been compared yet: `e2i drift --run` does, and the schedule nightly_drift.")
    return int(failed or any(run["severity"] != "none" for run in newest))


def _watch(here: Settings, partition: str | None, *, as_json: bool) -> bool:
    from e2i_assets.build import build_defs
    from e2i_assets.cli.instance import dagster_instance
    from e2i_assets.cli.runner import run_partitions
    from e2i_assets.partitions import cohort_configs

    wanted = [partition] if partition else sorted(cohort_configs(here.config_dir))
    with dagster_instance() as instance:
        runs = run_partitions(build_defs(), instance, here, wanted, show=not as_json, job=WATCH)
    for run in runs:
        if not run.success:
            say(f"{run.partition}: {run.error or ', '.join(run.failed_gates)}", as_json=as_json)
    return all(run.success for run in runs)


def _newest(
    warehouse: Warehouse, model: str | None, version: int | None, partition: str | None
) -> list[dict[str, Any]]:
    """The newest comparison of each version, of those that were asked about."""
    runs = monitoring_history(warehouse, model_name=model, version=version, partition=partition, most=1000)
    newest: dict[tuple[str, int], dict[str, Any]] = {}
    for run in runs:
        newest.setdefault((run["model_name"], run["model_version"]), run)
    return list(newest.values())


def _show(
    run: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], figures: Sequence[Mapping[str, Any]]
) -> None:
    say(f"{run['model_name']} version {run['model_version']}, {run['measured_at']:%Y-%m-%d %H:%M} UTC")
    say(run["summary"]["verdict"])
    for what, why in run["summary"]["unavailable"].items():
        say(f"{what}: {why}")
    drifted = [one for one in columns if one["drift_detected"]]
    if drifted:
        show_table(
            "What drifted",
            ["column", "of", "severity", "why"],
            [[one["feature_name"], one["drift_type"], one["severity"], one["reason"]] for one in drifted],
        )
    if figures:
        show_table(
            "How it does",
            ["figure", "now", "at training", "how", "patients"],
            [
                [one["metric_name"], _text(one["metric_value"]), _text(one["baseline_value"]),
                 one["source"], one["sample_size"]]
                for one in figures
            ],
        )  # fmt: skip


def _text(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
