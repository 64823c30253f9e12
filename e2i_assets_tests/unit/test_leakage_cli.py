"""`e2i audit leakage`: exit code, report, and messages that name the mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
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
    done = audit("trial.csv", "--target", "cens", "--html", "leakage.html")
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
    findings = {(f["kind"], f["column"]) for f in report["findings"]}
    assert findings == {("temporal", "pnodes"), ("contamination", "train and overlapping.csv")}


def test_a_contract_has_to_say_when_a_strong_column_is_known(folder: Path) -> None:
    """Two columns of which only both tell the outcome, and one that is the outcome in nine rows of ten."""
    table, rng = pd.read_parquet("train.parquet"), np.random.default_rng(0)
    left = rng.integers(0, 2, len(table))
    almost = np.where(rng.random(len(table)) < 0.9, table["cens"], 1 - table["cens"])
    table.assign(left=left, right=left ^ table["cens"], almost=almost).to_csv("strong.csv", index=False)
    entries = dict.fromkeys(table.columns.drop(["cens", "patient"]), "index")
    asked = ("left", "right", "almost")
    for entry, exit_code in (
        (None, 1),
        ({"dtype": "integer"}, 1),
        ({"role": "feature", "available_at": "index"}, 0),
    ):
        stated = entries if entry is None else entries | dict.fromkeys(asked, entry)
        Path("stated.yaml").write_text(json.dumps(stated))
        done = audit(
            "strong.csv", "--target", "cens", "--id-column", "patient", "--contract", "stated.yaml", "--json"
        )
        assert done.exit_code == exit_code, done.output
        (report,) = json.loads(done.stdout).values()
        findings = {(f["kind"], f["column"]) for f in report["findings"]}
        assert findings == ({("plausibility", name) for name in asked} if exit_code else set())
        assert report["undeclared"] == (list(asked) if exit_code else [])


def test_a_list_of_columns_is_a_contract(folder: Path) -> None:
    before = set(folder.iterdir())
    done = audit("train.parquet", "--target", "cens", "--contract", "list.yaml", "--json")
    assert done.exit_code == 1
    assert set(folder.iterdir()) == before  # no page that was not asked for
    (report,) = json.loads(done.stdout).values()
    assert [f["column"] for f in report["findings"]] == ["pnodes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv", "--target", "cens"], "nowhere.csv: no such file"),
        (["list.yaml", "--target", "cens"], "neither .csv nor .parquet"),
        (["broken.parquet", "--target", "cens"], "broken.parquet: cannot be read"),
        (["empty.csv", "--target", "cens"], "empty.csv: is empty"),
        (["trial.csv", "--target", "death"], "no target column 'death'"),
        (["trial.csv", "--target", "cens", "--contract", "scalar.yaml"], "scalar.yaml: must list columns"),
        (["trial.csv", "--target", "cens", "--contract", "nothing.yaml"], "neither a file nor a table"),
        (["trial.csv"], "--target"),
        ([], "Usage"),
        (["trial.csv", "--target", "cens", "--partition", "x"], "either"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_mistake_is_named(arguments: list[str], message: str) -> None:
    done = audit(*arguments)
    assert done.exit_code == 2
    assert message in f"{done.output}{done.stderr}{done.exception}"
    assert not Path("leakage.html").exists()


def rows_of(header: str, row: str, n: int, first: int = 0) -> str:
    """A file of `n` rows; in a row `{i}` is its number, `{y}` the target, `{x}` noise."""
    noise = np.random.default_rng(first).normal(size=n)
    cells = [row.format(i=i, y=i % 2, x=f"{noise[i - first]:.3f}") for i in range(first, first + n)]
    return "\n".join([header, *cells]) + "\n"


@pytest.mark.parametrize("padded", [True, False], ids=["both padded", "one padded"])
def test_identifiers_are_text(folder: Path, padded: bool) -> None:
    """`00270` is in both files; `270` is another patient."""
    (folder / "a.csv").write_text(rows_of("id,x,y", "{i:05d},{x},{y}", 300))
    (folder / "b.csv").write_text(rows_of("id,x,y", "{i:05d},{x},{y}" if padded else "{i},{x},{y}", 90, 270))
    done = audit("a.csv", "--target", "y", "--id-column", "id", "--other-split", "b.csv", "--json")
    (report,) = json.loads(done.stdout).values()
    findings = [f for f in report["findings"] if f["kind"] == "contamination"]
    assert done.exit_code == int(padded)
    assert [f["statistic"] for f in findings] == ([30] if padded else [])


@pytest.mark.parametrize(
    ("header", "row", "options"),
    [
        ("id;x;leak;y", "p{i};{x};{y};{y}", ()),
        ("id;x;leak;y", "p{i};0,5;{y},25;{y}", ("--read", '{decimal: ","}')),
        ('"id","x, noise","leak","y"', '"p{i}","{x}","{y}","{y}"', ()),
        ("id,x,leak,y", "p{i},{x},{y}.0,NA\np{i},{x},{y}.0,{y}", ()),
        ("grün,x,leak,y", "p{i},{x},{y},{y}", ("--read", "{encoding: latin-1}")),
        ("id,x,leak,y", "p{i},{x},1.{y}0,{y}", ()),
        ("id,x,leak,y", "p{i},{x},{y},{y},", ()),
    ],
    ids=["semicolons", "decimal comma", "quotes", "NA", "latin-1", "fixed digits", "trailing comma"],
)
def test_a_leak_is_found_however_the_file_is_written(
    folder: Path, header: str, row: str, options: tuple[str, ...]
) -> None:
    encoding = "latin-1" if "latin-1" in str(options) else "utf-8"
    (folder / "a.csv").write_bytes(rows_of(header, row, 300).encode(encoding))
    done = audit("a.csv", "--target", "y", *options, "--json")
    (report,) = json.loads(done.stdout).values()
    assert done.exit_code == 1
    assert "leak" in [f["column"] for f in report["findings"]]


def test_codes_that_are_one_number_are_two(folder: Path) -> None:
    rows = [f"p{i},{'250.00' if i % 2 else '250.0'},{i % 2}" for i in range(200)]
    (folder / "a.csv").write_text("\n".join(["id,code,y", *rows]) + "\n")
    assert audit("a.csv", "--target", "y").exit_code == 1
    (folder / "contract.yaml").write_text("code: {role: feature, dtype: number}\n")
    assert audit("a.csv", "--target", "y", "--contract", "contract.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("id,y,leak\n1,0,0,secret\n2,1,1,\n", (), "a.csv: line 2 has another number of cells"),
        (b"id,y\nK\xf6ln,1\n", (), "line 2 is not UTF-8"),
        ("id,y,y\n1,0,1\n", (), "has column y twice"),
        ("id,y\n", (), "has no rows"),
        ("id,y\n1,0\n", ("--read", "{colour: red}"), "--read: colour"),
        ("id,y,n\n1,0,secret\n", ("--contract", "typed.yaml"), "column n: must be Int64"),
    ],
)
def test_what_is_not_read_as_it_stands_is_refused(
    folder: Path, content: str | bytes, options: tuple[str, ...], message: str
) -> None:
    (folder / "typed.yaml").write_text("n: {role: feature, dtype: integer}\n")
    (folder / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = audit("a.csv", "--target", "y", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "secret" not in done.stderr
