"""What a CDM knows and does not: deaths, days of birth, and measurements that are only limits."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from e2i_assets.ingest.errors import Lacking, NotThere

EXACTLY = (0, 4172703)
"""`operator_concept_id` of a value that is what it says; with any other (`<`) it is a limit of the value."""


def provide_deaths(sql: duckdb.DuckDBPyConnection, provide: Callable[[str], None]) -> tuple[str, ...]:
    """The view of deaths; without any where the CDM has none, which is said."""
    try:
        provide("death")
    except (Lacking, NotThere) as error:
        none = "SELECT NULL::BIGINT AS person_id, NULL::DATE AS death_date LIMIT 0"
        sql.execute(f"CREATE OR REPLACE VIEW death AS {none}")
        return (f"deaths are not known, and end no observation: {error}",)
    return ()


def births() -> str:
    """Who the persons are; `refuse` where year, month and day of birth are no day of the calendar."""

    def whole(name: str) -> str:
        number = f"try_cast({name} AS BIGINT)"
        return f"CASE WHEN {number} = try_cast({name} AS DOUBLE) THEN {number} END"

    parts = {name: f"{name}_of_birth" for name in ("year", "month", "day")}
    broken = " OR ".join(f"({column} IS NOT NULL AND {name} IS NULL)" for name, column in parts.items())
    numbers = ", ".join(f"{whole(column)} AS {name}" for name, column in parts.items())
    return f"""
        SELECT *, CASE WHEN {broken} OR (year + month + day IS NOT NULL AND birthday IS NULL)
            THEN 'is of a person whose birth is no day of the calendar' END AS refuse
        FROM (SELECT *, try_cast(printf('%04d-%02d-%02d', year, month, day) AS DATE) AS birthday
            FROM (SELECT person_id::BIGINT AS person_id, gender_concept_id::BIGINT AS gender, {numbers},
                {", ".join(parts.values())} FROM person))"""


def measurements(sql: duckdb.DuckDBPyConnection) -> str:
    """Measurements of which a value with an operator (`<60`) is none: it lies beyond."""
    described = sql.execute("SELECT lower(name) FROM pragma_table_info('measurement')").fetchall()
    columns = {name for (name,) in described}
    tests = ["false"]
    if "operator_concept_id" in columns:
        tests.append(f"coalesce(operator_concept_id::BIGINT NOT IN {EXACTLY}, false)")
    if "value_source_value" in columns:
        tests.append("coalesce(regexp_matches(value_source_value::VARCHAR, '^\\s*[<>≤≥]'), false)")
    limit = " OR ".join(tests)
    return f"""
        SELECT *, CASE WHEN NOT is_limit THEN value_as_number END AS known_number
        FROM (SELECT *, value_as_number IS NOT NULL AND ({limit}) AS is_limit FROM measurement)"""
