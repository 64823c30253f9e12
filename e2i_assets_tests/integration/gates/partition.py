"""A partition through all its gates: run it, change its configuration or its data, read what it published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
import yaml

from e2i_assets.automation.jobs import REFRESH, job_of
from e2i_assets.build import build_defs, build_resources
from e2i_assets.resources.pages import PAGES
from e2i_assets.settings import Settings
from e2i_assets.stages.stage import FORCE
from e2i_assets_tests.conftest import shipped_config

PARTITION = "fabhalta_c3g"
PARTITIONS = {("Remibrutinib", "csu"), ("Fabhalta", "pnh"), ("Fabhalta", "c3g"), ("Kisqali", "hr_her2_bc")}
COHORT_FILE = f"cohorts/{PARTITION}.yaml"


def run(
    here: Settings, select: str, *, partition: str = PARTITION, force: bool = False
) -> dg.ExecuteInProcessResult:
    """What is selected of the job that refreshes a partition."""
    defs = build_defs(here)
    selected = dg.AssetSelection.from_string(select).resolve(defs.resolve_asset_graph())
    return defs.resolve_job_def(REFRESH).execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        partition_key=partition,
        asset_selection=sorted(key for key in selected if job_of(key) == REFRESH),
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        tags={FORCE: "true"} if force else {},
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """The gates, without the checks that only warn."""
    return {
        e.check_name: e.passed
        for e in result.get_asset_check_evaluations()
        if e.severity is dg.AssetCheckSeverity.ERROR
    }


def reason(result: dg.ExecuteInProcessResult, gate: str) -> Any:
    (evaluated,) = [e for e in result.get_asset_check_evaluations() if e.check_name == gate]
    assert not evaluated.passed
    return evaluated.metadata["reason"].value


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
    config = shipped_config(folder)
    content = yaml.safe_load((config / file).read_text())
    edit(content)
    (config / file).write_text(yaml.safe_dump(content))
    return here.model_copy(update={"config": config})


def page_of(here: Settings, link: str) -> Path:
    assert link.startswith(f"{PAGES}/")
    return Path(here.artifacts_url) / link.removeprefix(f"{PAGES}/")


def spoil(here: Settings, *statements: str) -> None:
    """Change the warehouse as a load of this partition would that nobody validated."""
    noted = (
        "INSERT INTO e2i.ml_load_batches (source, rows, changed, partitions) "
        """VALUES ('sabotage', '{}', '{}', '["Fabhalta/c3g"]')"""
    )
    with build_resources(here)["warehouse"].engine.begin() as connection:
        for statement in (*statements, noted):
            connection.execute(sa.text(statement))
