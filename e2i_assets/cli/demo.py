"""`e2i demo`: every partition from raw tables to a bundle, and a table of how good each became."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from e2i_assets.assets.artifacts import BundleRef, Cohort, Evaluated
from e2i_assets.build import build_defs
from e2i_assets.cli.generate import generate_and_load
from e2i_assets.cli.oracle import oracle_auc
from e2i_assets.cli.output import print_json, say, show_table
from e2i_assets.cli.runner import PartitionRun, run_partitions
from e2i_assets.cli.session import dagster_instance, open_session
from e2i_assets.ingest.synthetic import GeneratorSpec
from e2i_assets.partitions import programmes
from e2i_assets.quality.report import QCReport
from e2i_assets.resources.store import ArtifactStore
from e2i_assets.resources.warehouse import Warehouse
from e2i_assets.settings import Settings


def run_demo(*, full: bool, seed: int, as_of: date | None, as_json: bool) -> int:
    """0 when every gate of every partition passed."""
    here, warehouse = open_session()
    spec = GeneratorSpec(seed=seed, scale="full" if full else "small", as_of=as_of or here.today)
    _ensure_data(here, warehouse, spec, as_json=as_json)
    known = programmes(here.config_dir)
    loaded = [key for key, p in known.items() if warehouse.watermark(p.brand, p.indication) is not None]
    defs = build_defs()
    with dagster_instance() as instance:
        runs = run_partitions(defs, instance, here, loaded, show=not as_json)
    rows = [row for run in runs for row in _rows(run, here, warehouse, known[run.partition].scopes)]
    unchanged = all(run.success and not run.computed for run in runs)
    success = bool(runs) and all(run.success for run in runs)
    if as_json:
        document = {
            "success": success,
            "unchanged": unchanged,
            "partitions": rows,
            "runs": [run.to_dict() for run in runs],
        }
        print_json(document)
        return 0 if success else 1
    _show(rows, runs, unchanged)
    return 0 if success else 1


def _ensure_data(here: Settings, warehouse: Warehouse, spec: GeneratorSpec, *, as_json: bool) -> None:
    """Data that are there stand, whatever day it is by now."""
    rows = {held.table: held.rows for held in warehouse.status()}
    if rows["patient_journeys"]:
        say(f"using the {rows['patient_journeys']:,} patient journeys in the warehouse", as_json=as_json)
        return
    report = generate_and_load(here, warehouse, spec, show=not as_json).report
    say(f"generated and loaded {report.rows['patient_journeys']:,} patient journeys", as_json=as_json)


def _rows(
    run: PartitionRun, here: Settings, warehouse: Warehouse, scopes: Sequence[str]
) -> list[dict[str, Any]]:
    return [_row(run, here, warehouse, scope) for scope in scopes]


def _row(run: PartitionRun, here: Settings, warehouse: Warehouse, scope: str) -> dict[str, Any]:
    """What is published for a partition and scope now; a run that failed shows the last good versions."""
    store = ArtifactStore(here.artifacts_url)

    def published(asset: str, kind: type[Any]) -> Any:
        current = store.current(asset, run.partition)
        return store.read(asset, run.partition, current.version, kind) if current else None

    cohort: Cohort | None = published("cohort", Cohort)
    report: QCReport | None = published("qc_report", QCReport)
    evaluated: Evaluated | None = published(f"{scope}/evaluation", Evaluated)
    bundle: BundleRef | None = published(f"{scope}/bento_bundle", BundleRef)
    result = evaluated.evaluation if evaluated else None
    return {
        "partition": run.partition,
        "scope": scope,
        "patients": cohort.result.total_count if cohort else None,
        "cohort": cohort.result.eligible_count if cohort else None,
        "qc_score": report.score if report else None,
        "algorithm": result.algorithm if result else None,
        "validation_auc": result.validation_auc_ci.auc if result else None,
        "validation_auc_95": list(result.validation_auc_ci[1:3]) if result else None,
        "test_auc": result.auc_ci.auc if result else None,
        "test_auc_95": list(result.auc_ci[1:3]) if result else None,
        "oracle_auc": oracle_auc(here, warehouse, run.partition, cohort, scope) if cohort else None,
        "gates_passed": run.gates_passed,
        "gates_failed": len(run.failed_gates),
        "bundle": bundle.tag if bundle else None,
        "seconds": run.seconds,
        "success": run.success,
    }


def _show(rows: Sequence[dict[str, Any]], runs: Sequence[PartitionRun], unchanged: bool) -> None:
    show_table(
        "E2I assets",
        [
            "partition",
            "patients",
            "cohort",
            "QC",
            "algorithm",
            "validation AUC (95 %)",
            "test AUC (95 %)",
            "oracle",
            "gates",
            "bundle",
            "s",
        ],
        [_cells(row) for row in rows],
    )
    for run in runs:
        for gate, message in run.failed_gates.items():
            say(f"BLOCKED {run.partition} {gate}: {message}")
        if run.error:
            say(f"FAILED {run.partition} {run.error}")
    if unchanged:
        say("Nothing changed since the last run; nothing was computed.")
    say("Open Dagit with `make up` (or `e2i up`): http://127.0.0.1:3000")


def _cells(row: dict[str, Any]) -> list[Any]:
    return [
        row["partition"],
        row["patients"],
        row["cohort"],
        _figure(row["qc_score"]),
        row["algorithm"],
        _interval(row["validation_auc"], row["validation_auc_95"]),
        _interval(row["test_auc"], row["test_auc_95"]),
        _figure(row["oracle_auc"]),
        f"{row['gates_passed']}/{row['gates_passed'] + row['gates_failed']}",
        row["bundle"],
        f"{row['seconds']:.1f}",
    ]


def _interval(auc: float | None, bounds: Sequence[float] | None) -> str:
    return f"{auc:.3f} ({bounds[0]:.3f}-{bounds[1]:.3f})" if bounds else ""


def _figure(value: float | str | None) -> str:
    return f"{value:.3f}" if isinstance(value, float) else (value or "")
