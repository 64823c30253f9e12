"""`e2i audit leakage`: exit code, report, and messages that name the mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from e2i_assets.cli.main import app
from e2i_assets_tests.leakage_cases import CASES

TRIAL = next(case for case in CASES if case.name == "GBSG-2 trial")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trial as CSV with its follow-up time, as Parquet without, in two halves."""
    monkeypatch.chdir(tmp_path)
    TRIAL.load().to_csv(tmp_path / "trial.csv", index=False)
    clean = TRIAL.clean.reset_index(names="patient")
    clean.iloc[:500].to_parquet(tmp_path / "train.parquet")
    clean.iloc[500:].to_parquet(tmp_path / "test.parquet")
    clean.iloc[490:].to_csv(tmp_path / "overlapping.csv", index=False)
    (tmp_path / "contract.yaml").write_text("pnodes: {role: post_outcome, available_at: outcome}\n")
    (tmp_path / "list.yaml").write_text("- pnodes\n")
    (tmp_path / "scalar.yaml").write_text("pnodes\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty.csv").write_text("")
    return tmp_path


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", "leakage", *arguments])


def test_a_leak_is_shown_written_and_exits_with_1(folder: Path) -> None:
    done = audit("trial.csv", "--target", "cens")
    assert done.exit_code == 1
    assert "time" in done.stdout
    page = (folder / "leakage.html").read_text()
    assert "<td>time</td>" in page
    assert "failed" in page
    assert "not looked at" in page


def test_a_clean_table_exits_with_0_and_says_what_was_looked_at(folder: Path) -> None:
    done = audit(
        "train.parquet", "--target", "cens", "--id-column", "patient", "--other-split", "test.parquet",
        "--html", "here.html", "--json",
    )  # fmt: skip
    assert done.exit_code == 0
    (report,) = json.loads(done.stdout).values()
    assert report["ok"]
    assert report["examined"] == {"availability": 0, "temporal": 0, "target": 8, "contamination": 1}
    assert "passed" in (folder / "here.html").read_text()


def test_a_contract_and_a_patient_of_another_split_are_found(folder: Path) -> None:
    done = audit(
        "train.parquet", "--target", "cens", "--id-column", "patient", "--contract", "contract.yaml",
        "--other-split", "overlapping.csv", "--json",
    )  # fmt: skip
    assert done.exit_code == 1
    (report,) = json.loads(done.stdout).values()
    found = {(f["kind"], f["column"]) for f in report["findings"]}
    assert found == {("temporal", "pnodes"), ("contamination", "train and overlapping.csv")}


def test_a_list_of_columns_is_a_contract(folder: Path) -> None:
    done = audit("train.parquet", "--target", "cens", "--contract", "list.yaml", "--json")
    assert done.exit_code == 1
    (report,) = json.loads(done.stdout).values()
    assert [f["column"] for f in report["findings"]] == ["pnodes"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv", "--target", "cens"], "nowhere.csv: no such file"),
        (["list.yaml", "--target", "cens"], "neither .csv nor .parquet"),
        (["broken.parquet", "--target", "cens"], "broken.parquet: cannot be read"),
        (["empty.csv", "--target", "cens"], "empty.csv: cannot be read"),
        (["trial.csv", "--target", "death"], "no target column 'death'"),
        (["trial.csv", "--target", "cens", "--contract", "scalar.yaml"], "scalar.yaml: must list columns"),
        (["trial.csv", "--target", "cens", "--contract", "nothing.yaml"], "neither a file nor a table"),
        (["trial.csv"], "--target"),
        ([], "Usage"),
        (["trial.csv", "--target", "cens", "--partition", "x"], "either"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_mistake_is_named(arguments: list[str], said: str) -> None:
    done = audit(*arguments)
    assert done.exit_code == 2
    assert said in f"{done.output}{done.stderr}{done.exception}"
    assert not Path("leakage.html").exists()
