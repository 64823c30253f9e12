"""The commands of README.md and the site, typed in their order into a folder that looks like the checkout.

Every command is run unless it is in NOT_RUN, and must end with 0 unless the text says otherwise (EXIT_CODES).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import polars as pl
import yaml

from e2i_assets.contracts.base import columns
from e2i_assets.contracts.patients import HcpProfiles
from e2i_assets.modeling.artifacts import Splits
from e2i_assets.resources.sealed_store import open_store
from e2i_assets.settings import Settings
from e2i_assets_tests.conftest import ROOT
from e2i_assets_tests.e2e.bring_your_own import SOURCE
from e2i_assets_tests.readme import command_lines
from e2i_assets_tests.serve_process import free_port, running

NOT_RUN = {
    "make demo": "sets up .venv and is `e2i demo`, which the folder begins with",
    "cd brand-teams && e2i demo": "is what the folder begins with",
    "make test": "is these tests",
    "make up": "is `e2i up`, which serves until Ctrl-C; test_daemon.py opens it",
    "curl -s http://127.0.0.1:3003/health/cate": "asks a bundle of `uplift` that somebody serves",
    ".venv/bin/e2i models compare e2i-conversion-fabhalta_pnh 1 2": "the demo registers one version of a model; test_models_command.py has two",
    '.venv/bin/e2i models promote e2i-conversion-fabhalta_pnh 1 shadow --by "Anna Smith"': "is refused where the small model's AUC is below 0.75; test_models_command.py promotes",
    '.venv/bin/e2i models approve e2i-conversion-fabhalta_pnh 1 --by "Bert Jones"': "nobody has waited seven days; test_models_command.py approves",
    "export OTHER_SITE_URL=postgresql://reader:password@host:5432/e2i": "is another site's",
    ".venv/bin/e2i models validate e2i-conversion-fabhalta_pnh 1 --on fabhalta_pnh --database OTHER_SITE_URL --html report.html": "needs another site; test_external_validation.py has one",
    ".venv/bin/e2i models validate e2i-conversion-fabhalta_pnh 1 --on fabhalta_pnh_japan --json": "as the one before",
    ".venv/bin/e2i alerts show 1": "nothing has gone wrong; test_alerts.py shows one",
    '.venv/bin/e2i alerts ack 1 --by "Anna Smith" --note "the supplier has changed"': "as the one before",
    ".venv/bin/e2i deploy run": "deploys every model; the tutorial deploys one",
    ".venv/bin/e2i drift --run -p fabhalta_pnh": "the tutorial watches another partition",
    ".venv/bin/e2i drift e2i-conversion-fabhalta_pnh --json": "as the one before",
    ".venv/bin/e2i deploy rollback MODEL": "has no release before the first to go back to",
    ".venv/bin/e2i serve": "serves until Ctrl-C; test_switches.py does so",
    "curl -s http://127.0.0.1:8000/api/deployments/status": "asks what `e2i up` starts",
    'curl -s -X POST http://127.0.0.1:8000/api/deployments/rollback -H "Authorization: Bearer $E2I_API_TOKEN" -H \'Content-Type: application/json\' -d \'{"model_name": "e2i-churn-fabhalta_pnh", "target_version": "v1"}\'': "as the one before",
    ".venv/bin/e2i db migrate": "is for another PostgreSQL; the tests of gates begin with it",
    ".venv/bin/e2i db grants daily": "as the one before",
    "pip install 'e2i-assets[s3]'": "is installed by the lock",
    "aws s3 sync .e2i/artifacts s3://bucket/prefix --exclude 'mlflow/*'": "there is no bucket; test_store.py reads what was copied",
    "aws s3 sync .e2i/vault s3://bucket/prefix.vault": "as the one before",
    ".venv/bin/e2i mlflow": "serves until Ctrl-C on a port that may be taken",
    ".venv/bin/python -m e2i_assets_tests.simulation --folder FOLDER --write": "is of a clone, and lives through 24 days; test_simulated_days.py does",
    ".venv/bin/python -m e2i_assets_tests.simulation.pictures FOLDER": "as the one before",
}
ADDED = {
    ".venv/bin/e2i data generate": "--dry-run",
    ".venv/bin/e2i data generate --dgp": "--small",
}
"""What is added to commands that begin so: other data would take the place of those that the rest works on, and
25,000 patients are generated and loaded once."""
EXIT_CODES = {
    ".venv/bin/e2i audit leakage trial.csv": 1,
    ".venv/bin/e2i audit leakage train.parquet": 1,
    ".venv/bin/e2i audit kpi": 1,
}
"""Of commands that begin so, where it is not 0: an audit exits with 1 on a finding, both tables have one, and so
has whoever looks at all 46 indicators."""
PLACEHOLDERS = {"PARTITION": "fabhalta_pnh"}
BUNDLE_PORT, SERVICE_PORT = "3010", "3001"
"""Where a bundle is served by itself, and where those answer that the demo has left in the background."""
SERVES = "bentoml serve"
TIMEOUT_S = 600


@dataclass(frozen=True)
class Typed:
    """A command as it was typed, and what came of it."""

    command: str
    expected: int
    exit_code: int
    said: str

    def __str__(self) -> str:
        return f"$ {self.command}\nexit {self.exit_code}, not {self.expected}\n{self.said[-3000:]}"


def lay_out(folder: Path) -> None:
    """Give a folder with a configuration and a home what else the checkout has, and files of the user's own."""
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "examples").symlink_to(ROOT / "examples")
    shutil.copy(SOURCE, folder / "trial.csv")
    _two_splits(folder)
    _a_changed_cohort(folder)
    _a_delivery(folder)


def _two_splits(folder: Path) -> None:
    patients = pd.DataFrame({"patient_id": [f"p{i:03}" for i in range(200)]})
    patients["age"] = [40 + 7 * i % 45 for i in range(200)]
    patients["started"] = [i % 3 == 0 for i in range(200)]
    patients["pfs_days"] = [100 + 11 * i % 300 for i in range(200)]
    patients.head(150).to_parquet(folder / "train.parquet")
    patients.tail(50).to_parquet(folder / "test.parquet")
    (folder / "columns.yaml").write_text("- pfs_days\n")


def _a_changed_cohort(folder: Path) -> None:
    stated = yaml.safe_load((folder / "config" / "cohorts" / "fabhalta_pnh.yaml").read_text())
    stated["exclusion_criteria"] = stated["exclusion_criteria"][:-1]
    (folder / "changed.yaml").write_text(yaml.safe_dump(stated))


def _a_delivery(folder: Path) -> None:
    """A folder named for the command, with all columns of a table, of a source called NAME, and a mapping.

    HCPs without patients: no partition is due for them, whose run would take most of the time of all commands.
    """
    values = {"hcp_id": ["NAME-1", "NAME-2"], "specialty": "hematology", "years_experience": [3, 31]}
    hcps = pl.DataFrame({c.name: values.get(c.name) for c in columns(HcpProfiles)} | {"data_source": "NAME"})
    (folder / "FOLDER").mkdir()
    hcps.write_csv(folder / "FOLDER" / "hcp_profiles.csv")
    stated = {name: name for name in hcps.columns if name != "data_source"}
    table = {"file": "hcp_profiles.csv", "columns": stated}
    (folder / "m.yaml").write_text(yaml.safe_dump({"source": "NAME", "tables": {"hcp_profiles": table}}))


def _a_patient_of_train(home: Path) -> str:
    store, partition = open_store(Settings(home=home)), PLACEHOLDERS["PARTITION"]
    current = store.current("splits", partition)
    assert current
    return str(store.read("splits", partition, current.version, Splits).train["patient_id"].iloc[0])


def type_all(folder: Path, ports: Mapping[str, str]) -> Iterator[Typed]:
    """Type every command but those of NOT_RUN; what serves is served until the last one is done.

    Args:
        ports: variables of the addresses where the services of the folder's home answer.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("E2I_", "DAGSTER_", "BENTOML_"))}
    environment |= ports
    environment["PATH"] = os.pathsep.join([str(folder / ".venv" / "bin"), environment["PATH"]])
    port = free_port()
    ports_of = {BUNDLE_PORT: str(port), SERVICE_PORT: ports["E2I_CLASSIFICATION_PORT"]}
    placeholders = PLACEHOLDERS | {"PATIENT_ID": _a_patient_of_train(folder / ".e2i")}
    with ExitStack() as servers:
        for command in command_lines():
            if command in NOT_RUN:
                continue
            typed = re.sub(
                rf"\b({BUNDLE_PORT}|{SERVICE_PORT})\b", lambda stated: ports_of[stated[0]], command
            )
            for placeholder, value in placeholders.items():
                typed = typed.replace(placeholder, value)
            typed = " ".join([typed, *(added for start, added in ADDED.items() if typed.startswith(start))])
            if SERVES in command:
                log = folder / "serve.log"
                servers.enter_context(
                    running(["bash", "-c", f"exec env {typed}"], environment, folder, log, port)
                )
                continue
            done = subprocess.run(
                ["bash", "-c", typed], cwd=folder, env=environment, capture_output=True, text=True,
                timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
            expected = next((code for start, code in EXIT_CODES.items() if command.startswith(start)), 0)
            yield Typed(typed, expected, done.returncode, done.stdout + done.stderr)
