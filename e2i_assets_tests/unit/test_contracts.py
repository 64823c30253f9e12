"""Contracts: every column says what it means, and no two say the same."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest
from typer.testing import CliRunner

from e2i_assets.assets.shown import contract_schema, raw_schema
from e2i_assets.cli.data import app
from e2i_assets.cohorts.config import CohortConfig
from e2i_assets.contracts.base import columns, facts_of, key_of
from e2i_assets.contracts.dictionary import dictionary, markdown
from e2i_assets.contracts.tables import TABLES
from e2i_assets.contracts.variables import INDEX, OUTCOME, Column
from e2i_assets_tests.conftest import CONFIG

EVERY = [pytest.param(table, c, id=f"{table}.{c.name}") for table in TABLES for c in columns(TABLES[table])]


@pytest.mark.parametrize(("table", "c"), EVERY)
def test_a_column_says_what_it_means(table: str, c: Column) -> None:
    same = [other.name for other in columns(TABLES[table]) if other.description == c.description]
    assert same == [c.name]
    assert len(c.description.split()) >= 3
    assert not c.description.endswith(".")
    assert c.name.replace("_", " ") != c.description.lower()
    if c.dtype in (pl.Int64, pl.Float64):
        assert c.unit, "a number has a unit"
    assert c.nullable or not c.wanted_when


@pytest.mark.parametrize(("table", "c"), EVERY)
def test_availability_is_a_column_or_a_word_and_fits_the_role(table: str, c: Column) -> None:
    dates = {other.name for other in columns(TABLES[table]) if other.role == "time"}
    assert c.available_at in {INDEX, OUTCOME} | dates
    if c.role in ("outcome", "post_outcome"):
        assert c.available_at != INDEX


@pytest.mark.parametrize("table", TABLES)
def test_references_checks_and_times_name_columns_that_exist(table: str) -> None:
    described = columns(TABLES[table])
    names = {c.name for c in described}
    parents = list(TABLES)[: list(TABLES).index(table)]
    for c in described:
        if c.references:
            parent, key = c.references.split(".")
            assert parent in parents, "parents are loaded first"
            assert key == key_of(TABLES[parent])
    facts = facts_of(TABLES[table])
    assert {facts.event_time, facts.ingestion_time} - {None} <= names
    conditions = [c.wanted_when for c in described if c.wanted_when]
    for condition in [*facts.checks.values(), *conditions]:
        assert set(pl.sql_expr(condition).meta.root_names()) <= names


COHORTS = {path.stem: CohortConfig.from_yaml(path) for path in (CONFIG / "cohorts").glob("*.yaml")}


@pytest.mark.parametrize("partition", COHORTS)
def test_an_attribute_says_what_it_means(partition: str) -> None:
    for name, attribute in COHORTS[partition].attributes.items():
        assert len(attribute.description.split()) >= 3, name
        assert attribute.unit or attribute.dtype not in ("integer", "number"), name


def test_the_dictionary_has_every_column_of_every_table_and_partition() -> None:
    document = dictionary({key: cohort.attributes for key, cohort in COHORTS.items()})
    assert json.loads(json.dumps(document)) == document
    assert [(t["table"], c["column"]) for t in document["tables"] for c in t["columns"]] == [
        (table, c.name) for table in TABLES for c in columns(TABLES[table])
    ]
    severity = next(c for c in document["tables"][1]["columns"] if c["column"] == "disease_severity")
    assert severity == {
        "column": "disease_severity", "type": "number", "unit": "0-10", "role": "feature",
        "available_at": "index", "nullable": True, "key": False, "unique": False, "references": None,
        "allowed": None, "low": 0, "high": 10, "wanted_when": None, "description": "Clinical severity at diagnosis",
    }  # fmt: skip
    text = markdown(document)
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith(("| column", "| ---"))
    ]
    assert len(rows) == len(EVERY) + sum(len(cohort.attributes) for cohort in COHORTS.values())
    assert {row.count(" | ") for row in rows} == {8}
    assert (
        "| hcp_id | string |  | id | index | yes |  | → hcp_profiles.hcp_id | HCP who treats the patient |"
        in rows
    )
    assert "| urticaria_severity_uas7 | integer | 0-42 | feature | index | yes |" in text


def test_a_bar_in_a_text_does_not_break_the_markdown_table() -> None:
    cohort = COHORTS["remibrutinib_csu"]
    name, attribute = next(iter(cohort.attributes.items()))
    text = markdown(dictionary({"p": {name: replace(attribute, description="this | that")}}))
    assert "this \\| that |" in text


def test_dagster_shows_what_the_contract_says() -> None:
    schema = {c.name: c for c in contract_schema("patient_journeys").columns}
    region = schema["geographic_region"]
    assert (region.type, region.constraints.nullable) == ("string", True)
    assert region.constraints.other == ["one of northeast, south, midwest, west"]
    assert region.description == "Region of residence. Role feature, known on the index date."
    assert schema["disease_severity"].constraints.other == ["≥ 0", "≤ 10"]
    assert schema["hcp_id"].constraints.other == ["references hcp_profiles.hcp_id"]
    events = {c.name: c for c in contract_schema("treatment_events").columns}
    assert events["duration_days"].constraints.other == ["≥ 0", "wanted when event_type = 'prescription'"]
    key = schema["patient_journey_id"].constraints
    assert (key.unique, key.nullable, key.other) == (True, False, ["primary key"])
    assert schema["days_to_treatment"].description.endswith(
        "(days). Role post_outcome, known only after the follow-up window."
    )
    rules = contract_schema("patient_journeys").constraints.other
    assert "observation_in_order: first_observation_date <= last_observation_date" in rules


def test_dagster_shows_what_the_cohort_file_says_of_an_attribute() -> None:
    frame = pl.DataFrame(
        schema={"patient_id": pl.String, "urticaria_severity_uas7": pl.Int64, "extra": pl.Float64}
    )
    declared = COHORTS["remibrutinib_csu"].attributes
    schema = {c.name: c for c in raw_schema("patient_journeys", frame, declared).columns}
    assert list(schema) == frame.columns
    assert schema["urticaria_severity_uas7"].type == "integer"
    assert "(0-42). Clinical attribute. Role feature" in schema["urticaria_severity_uas7"].description
    assert "does not declare" in schema["extra"].description


def test_the_command_prints_markdown_or_json() -> None:
    text = CliRunner().invoke(app, ["dictionary"])
    assert text.exit_code == 0
    assert text.stdout.startswith("# Data dictionary\n")
    document = json.loads(CliRunner().invoke(app, ["dictionary", "--json"]).stdout)
    assert markdown(document) == text.stdout.removesuffix("\n")
    assert set(document["attributes"]) == set(COHORTS)
