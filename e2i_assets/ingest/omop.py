"""An OMOP CDM v5.x as one partition of ours: a journey for each person with the index event, and its events.

The CDM may be files, a DuckDB file or a PostgreSQL; what its tables mean is the SQL below.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import duckdb

from e2i_assets.ingest.databases import Only
from e2i_assets.ingest.errors import Misstated, unreadable
from e2i_assets.ingest.mapping import Reading
from e2i_assets.ingest.omop_cells import check_cells
from e2i_assets.ingest.omop_config import Index, Measurement, Omop, Records
from e2i_assets.ingest.omop_known import births, measurements, provide_deaths
from e2i_assets.ingest.omop_records import Needed, found, index_records, needed, text
from e2i_assets.ingest.omop_sets import make_sets
from e2i_assets.ingest.omop_tables import RECORD_TABLES
from e2i_assets.ingest.opening import Source, Wanted

CDM: dict[str, tuple[str, ...]] = {
    "person": (
        "person_id", "gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth",
    ),
    "observation_period": (
        "person_id", "observation_period_start_date", "observation_period_end_date",
    ),
    "condition_occurrence": (
        "condition_occurrence_id", "person_id", "condition_concept_id", "condition_start_date",
        "condition_source_concept_id",
    ),
    "drug_exposure": (
        "drug_exposure_id", "person_id", "drug_concept_id", "drug_exposure_start_date", "days_supply",
    ),
    "measurement": (
        "measurement_id", "person_id", "measurement_concept_id", "measurement_date", "value_as_number",
        "unit_concept_id",
    ),
    "visit_occurrence": (
        "visit_occurrence_id", "person_id", "visit_concept_id", "visit_start_date",
    ),
    "death": ("person_id", "death_date"),
    "concept": ("concept_id", "concept_name", "vocabulary_id", "concept_code"),
    "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
}  # fmt: skip
"""The CDM tables and columns that are read; the same in versions 5.2 to 5.4."""

OPTIONAL = {"measurement": ("operator_concept_id", "value_source_value")}
"""Columns that are read where they are there."""

MALE, FEMALE = 8507, 8532
HOSPITAL_VISITS = (9201, 262)
"""Inpatient visit; emergency room and inpatient visit (OMOP vocabulary `Visit`)."""

FILLS = ("patient_journeys", "treatment_events")
"""Tables of ours that a CDM fills."""

REFUSE = "__refuse"
"""Column of a view: why its row cannot be taken."""
REFUSED = {"patient_journeys": "age_at_diagnosis", "treatment_events": "value"}
"""Column of ours that cannot be made of a row that is refused."""


def build(source: Source, omop: Omop, prefix: str, reading: Reading) -> tuple[str, ...]:
    """Make the views `patient_journeys` and `treatment_events` over a CDM; returns what they leave out.

    Args:
        prefix: what makes ids unique among sources.
        reading: how the text of files is to be read.

    Raises:
        SourceError: the CDM lacks a table, a column or a concept, or a lab test has several units.
    """
    try:
        return _build(source, omop, prefix, reading)
    except duckdb.Error as error:
        raise unreadable(f"{source.name}: OMOP CDM", error) from error


def _build(source: Source, omop: Omop, prefix: str, reading: Reading) -> tuple[str, ...]:
    sql = source.connection

    def provide(table: str, only: Only | None = None, columns: Sequence[str] = ()) -> None:
        columns = columns or CDM[table]
        optional = tuple(name for name in OPTIONAL.get(table, ()) if name not in columns)
        source.provide(Wanted(table, omop.database_schema, columns, optional, only), reading)
        check_cells(sql, source.name, table, columns, only)

    stated = sorted({c for s in omop.concept_sets.values() for c in s.stated})
    provide("concept_ancestor", ("ancestor_concept_id", [*stated, *HOSPITAL_VISITS]))
    make_sets(sql, omop.concept_sets, provide)

    def members(names: Collection[str]) -> list[int]:
        rows = sql.execute("SELECT concept_id FROM e2i_sets WHERE list_contains(?, set_name)", [list(names)])
        return sorted({concept for (concept,) in rows.fetchall()})

    provide("person")
    provide("observation_period")
    deathless = provide_deaths(sql, provide)
    for table, need in _of_persons(omop).items():
        only = None if need.sets is None else (RECORD_TABLES[table].concept, members(need.sets))
        provide(table, only, need.columns)
    provide("concept", ("concept_id", [*stated, *_codes_in_use(sql, omop)]))
    _check_concepts(source, omop)
    _check_units(source, omop)
    sql.execute(f"CREATE VIEW e2i_births AS {births()}")
    sql.execute(f"CREATE VIEW e2i_measurements AS {measurements(sql)}")
    sql.execute(f"CREATE TABLE e2i_index AS {_index(omop)}")
    sql.execute(f"CREATE VIEW patient_journeys AS {_journeys(omop, prefix)}")
    sql.execute(f"CREATE VIEW treatment_events AS {_events(omop, prefix)}")
    having, indexed = sql.execute(
        f"SELECT (SELECT count(DISTINCT person_id) FROM ({index_records(omop)})), "
        "(SELECT count(*) FROM e2i_index)"
    ).fetchall()[0]
    of_index, observed = _stated_index(omop)
    ((limits,),) = sql.execute("SELECT count(*) FILTER (is_limit) FROM e2i_measurements").fetchall()
    left_out = (
        f"{having - indexed:,} of {having:,} persons with {of_index} are left out: none of their records "
        f"of it is inside an observation period{observed}, before their death and no later than {omop.as_of}"
    )
    measured = f"{limits:,} measurements say less or more than a value: their value is not known"
    return (left_out, *([measured] if limits else []), *deathless)


def _of_persons(omop: Omop) -> dict[str, Needed]:
    """What is needed of the tables with records of persons."""
    plain: dict[str, frozenset[str] | None] = {
        "condition_occurrence": frozenset({*omop.plain_conditions, *omop.comorbidities}),
        "drug_exposure": frozenset({*omop.plain_drugs, *omop.prior_treatments}),
        "measurement": frozenset({test.concept_set for test in omop.measurements.values()}),
    }
    if omop.visits:
        plain["visit_occurrence"] = None
    tables = needed(omop)
    for table, sets in plain.items():
        tables[table] = tables.get(table, Needed()).with_more(CDM[table], sets)
    return tables


def _stated_index(omop: Omop) -> tuple[str, str]:
    """The index event in words, and the observation that it needs."""
    if isinstance(omop.index, str):
        return omop.index, ""
    days = f", {omop.index.prior_days} days after its start and {omop.index.post_days} before its end"
    return " or ".join(omop.index.events), days if omop.index.prior_days or omop.index.post_days else ""


def _codes_in_use(sql: duckdb.DuckDBPyConnection, omop: Omop) -> list[int]:
    """Concepts that are looked up by name or code: source codes of conditions, kinds of visit."""
    asked = ["SELECT DISTINCT condition_source_concept_id::BIGINT FROM condition_occurrence"]
    if omop.visits:
        asked.append("SELECT DISTINCT visit_concept_id::BIGINT FROM visit_occurrence")
    return [c for (c,) in sql.execute(" UNION ".join(asked)).fetchall() if c]


def _check_concepts(source: Source, omop: Omop) -> None:
    for name, concepts in omop.concept_sets.items():
        unknown = source.connection.execute(
            "SELECT unnest(?::BIGINT[]) AS id EXCEPT (SELECT concept_id::BIGINT FROM concept "
            "UNION ALL SELECT ancestor_concept_id::BIGINT FROM concept_ancestor) ORDER BY id",
            [concepts.stated],
        ).fetchall()
        if unknown:
            ids = ", ".join(str(concept) for (concept,) in unknown)
            message = f"{source.name}: the CDM's vocabulary has no concept {ids}"
            raise Misstated(("omop", "concept_sets", name), message)


def _check_units(source: Source, omop: Omop) -> None:
    """Values of one test in several units are never mixed: the mapping says how each becomes ours."""
    for name, test in omop.measurements.items():
        if test.units:
            continue
        units = source.connection.execute(
            "SELECT DISTINCT coalesce(unit_concept_id::BIGINT, 0) FROM measurement JOIN e2i_sets "
            "ON concept_id = measurement_concept_id::BIGINT AND set_name = ? "
            "WHERE value_as_number IS NOT NULL ORDER BY 1",
            [test.concept_set],
        ).fetchall()
        if len(units) > 1:
            unit_ids = ", ".join(str(unit) for (unit,) in units)
            raise Misstated(
                ("omop", "measurements", name),
                f"{source.name}: measurement {name} is in the units {unit_ids}; say its `units` "
                "(unit_concept_id: factor)",
            )


def _index(omop: Omop) -> str:
    """One row per person: the first or last record of the index event inside an observation period, and that.

    Periods that overlap or follow each other are one. None outlasts the person, or the CDM's own day.
    """
    index = omop.index if isinstance(omop.index, Index) else Index(events=(omop.index,))
    order = " DESC" if index.limit == "last" else ""
    treated = [omop.treatment] if omop.treatment else []
    return f"""
        WITH records AS (
            {index_records(omop)}
        ), ends AS (
            SELECT p.person_id, least(min(d.death_date::DATE), DATE '{omop.as_of}') AS last_known
            FROM (SELECT DISTINCT person_id::BIGINT AS person_id FROM observation_period) p
                LEFT JOIN death d ON d.person_id::BIGINT = p.person_id
            GROUP BY p.person_id
        ), given AS (
            SELECT person_id::BIGINT AS person_id, observation_period_start_date::DATE AS first_day,
                observation_period_end_date::DATE AS last_day
            FROM observation_period
            WHERE observation_period_start_date::DATE <= observation_period_end_date::DATE
        ), apart AS (
            SELECT *, coalesce(first_day > 1 + max(last_day) OVER (PARTITION BY person_id ORDER BY first_day,
                last_day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS begins
            FROM given
        ), numbered AS (
            SELECT *, count(*) FILTER (begins) OVER (PARTITION BY person_id
                ORDER BY first_day, last_day ROWS UNBOUNDED PRECEDING) AS period
            FROM apart
        ), periods AS (
            SELECT person_id, min(first_day) AS first_day,
                least(max(last_day), any_value(last_known)) AS last_day, any_value(last_known) AS last_known
            FROM numbered JOIN ends USING (person_id) GROUP BY person_id, period
        ), onset AS (
            SELECT r.person_id, r.day AS index_date, r.end_day, r.source_concept, p.first_day, p.last_day,
                p.last_known
            FROM records r JOIN periods p ON p.person_id = r.person_id
                AND r.day BETWEEN p.first_day + {index.prior_days} AND p.last_day - {index.post_days}
            QUALIFY row_number() OVER (PARTITION BY r.person_id ORDER BY r.day{order}, r.id, p.first_day) = 1
        ), treated AS (
            SELECT o.person_id, bool_or(d.day < o.index_date) AS before,
                min(d.day) FILTER (d.day BETWEEN o.index_date AND o.last_known) AS started
            FROM onset o JOIN ({_records("drug_exposure", treated)}) d USING (person_id) GROUP BY ALL
        )
        SELECT o.*, coalesce(t.before, false) AS treated_before, t.started,
            {_count_before("condition_occurrence", omop.comorbidities)} AS comorbidities,
            {_count_before("drug_exposure", omop.prior_treatments)} AS prior_treatments
        FROM onset o LEFT JOIN treated t USING (person_id)"""


def _count_before(table: str, sets: Sequence[str]) -> str:
    """How many of the sets a person has a record of before the index date."""
    if not sets:
        return "NULL::BIGINT"
    return (
        f"(SELECT count(DISTINCT r.set_name) FROM ({_records(table, sets)}) r "
        "WHERE r.person_id = o.person_id AND r.day < o.index_date)"
    )


def _records(table: str, sets: Sequence[str]) -> str:
    """Records of the sets: person, day, set, the record's id and what else its table has."""
    stem, day, more = {
        "condition_occurrence": ("condition", "condition_start_date", ""),
        "drug_exposure": ("drug", "drug_exposure_start_date", ", days_supply::DOUBLE AS days_supply"),
        "measurement": (
            "measurement", "measurement_date",
            ", known_number::DOUBLE AS number, coalesce(unit_concept_id::BIGINT, 0) AS unit",
        ),
    }[table]  # fmt: skip
    return (
        f"SELECT person_id::BIGINT AS person_id, {day}::DATE AS day, set_name, "
        f"{table}_id::BIGINT AS id{more} FROM {'e2i_measurements' if stem == 'measurement' else table} "
        f"JOIN e2i_sets ON concept_id = {stem}_concept_id::BIGINT "
        f"WHERE set_name IN ({', '.join(map(text, sets)) or 'NULL'})"
    )


def _journeys(omop: Omop, prefix: str) -> str:
    """Journeys in the contract's columns; the initiation counts from the index date to the end of follow-up.

    Without an initiation the outcome is False only where the whole follow-up was observed, alive. The age is
    in whole years; where the CDM keeps only the year of birth, the difference of the years.
    """
    expressions = {
        "treated_before_index": "x.treated_before",
        "age_by_year": "year(x.index_date) - p.year",
        "index_end_date": "x.end_day",
    }
    attributes = "".join(f"{expressions[name]} AS {name}, " for name in omop.attributes)
    outcome = "NULL::BOOLEAN AS treatment_initiated, NULL::BIGINT AS days_to_treatment"
    if omop.treatment is not None:
        outcome = f"""
            CASE WHEN x.started <= x.index_date + {omop.followup_days} THEN true
                WHEN x.last_day >= x.index_date + {omop.followup_days} THEN false END AS treatment_initiated,
            CASE WHEN x.started <= x.index_date + {omop.followup_days}
                THEN x.started - x.index_date END AS days_to_treatment"""
    return f"""
        SELECT {_journey_id(omop, prefix)} AS patient_journey_id,
            {text(prefix)} || x.person_id AS patient_id,
            {text(omop.brand)} AS brand, {text(omop.indication)} AS indication,
            coalesce(c.concept_code, {text(omop.index_code)}) AS diagnosis_code,
            x.index_date AS diagnosis_date, x.first_day AS first_observation_date,
            x.last_day AS last_observation_date,
            CASE WHEN p.month IS NULL OR p.day IS NULL THEN year(x.index_date) - p.year
                ELSE date_sub('year', p.birthday, x.index_date) END AS age_at_diagnosis,
            CASE p.gender WHEN {MALE} THEN 'M' WHEN {FEMALE} THEN 'F' END AS gender,
            x.comorbidities AS comorbidity_count, x.prior_treatments AS prior_treatment_count,
            {outcome},
            {_as_of(omop)} AS source_timestamp,
            {attributes}p.refuse AS {REFUSE}
        FROM e2i_index x LEFT JOIN e2i_births p USING (person_id)
            LEFT JOIN concept c ON c.concept_id::BIGINT = x.source_concept AND c.vocabulary_id = 'ICD10CM'
        ORDER BY x.person_id"""


def _events(omop: Omop, prefix: str) -> str:
    """Events of the journeys' persons, whenever they were, in an order that a load can be resumed in."""
    # Other drugs are called by their sets.
    brand = "set_name"
    if omop.treatment is not None:
        brand = f"CASE set_name WHEN {text(omop.treatment)} THEN {text(omop.brand)} ELSE set_name END"
    conditions = _records("condition_occurrence", omop.plain_conditions)
    drugs = _records("drug_exposure", omop.plain_drugs)
    kinds = [
        _kind("diagnosis", conditions),
        _kind("prescription", drugs, brand=brand, days="days_supply"),
        *(_measured(name, test) for name, test in omop.measurements.items()),
        *(_named_records(name, records) for name, records in omop.events.items()),
    ]
    if omop.visits:
        kinds.append(_visits())
    return f"""
        SELECT {_journey_id(omop, prefix)} || ':' || e.event_type || ':' || e.set_name || ':' || e.id
                AS treatment_event_id,
            {_journey_id(omop, prefix)} AS patient_journey_id, {text(prefix)} || x.person_id AS patient_id,
            e.day AS event_date, e.event_type, e.set_name AS event_subtype, e.brand, e.number AS value,
            e.days AS duration_days, {_as_of(omop)} AS source_timestamp, e.refuse AS {REFUSE}
        FROM ({" UNION ALL ".join(kinds)}) e JOIN e2i_index x USING (person_id)
        ORDER BY x.person_id, e.day, e.event_type, e.set_name, e.id"""


def _kind(
    kind: str, records: str, *, subtype: str = "set_name", brand: str = "NULL", number: str = "NULL",
    days: str = "NULL", refuse: str = "NULL",
) -> str:  # fmt: skip
    return (
        f"SELECT person_id, day, id, {text(kind)} AS event_type, {subtype} AS set_name, "
        f"{brand}::VARCHAR AS brand, {number}::DOUBLE AS number, {days}::DOUBLE AS days, "
        f"{refuse}::VARCHAR AS refuse FROM ({records})"
    )


def _measured(name: str, test: Measurement) -> str:
    number, refuse = "number", "NULL"
    if test.units:
        cases = " ".join(f"WHEN {unit} THEN {factor!r}::DOUBLE" for unit, factor in test.units.items())
        number = f"(number * CASE unit {cases} END)"
        units = ", ".join(map(str, test.units))
        refuse = (
            f"CASE WHEN number IS NOT NULL AND unit NOT IN ({units}) THEN 'is in a unit without factor' END"
        )
    records = _records("measurement", [test.concept_set])
    return _kind("lab_test", records, subtype=text(name), number=number, refuse=refuse)


def _named_records(name: str, records: Records) -> str:
    """Records that the mapping names as an event, which lasts as long as they do."""
    kind = RECORD_TABLES[records.table].event_type
    lasting = "CASE WHEN end_day >= day THEN end_day - day END"
    brand = text(name) if kind == "prescription" else "NULL"
    return _kind(kind, found(records), subtype=text(name), brand=brand, days=lasting)


def _visits() -> str:
    inpatient = (
        f"visit_concept_id::BIGINT IN (SELECT unnest({list(HOSPITAL_VISITS)}::BIGINT[]) UNION SELECT "
        "descendant_concept_id::BIGINT FROM concept_ancestor "
        f"WHERE ancestor_concept_id::BIGINT IN {HOSPITAL_VISITS})"
    )
    return (
        "SELECT person_id::BIGINT AS person_id, visit_start_date::DATE AS day, "
        "visit_occurrence_id::BIGINT AS id, "
        f"CASE WHEN {inpatient} THEN 'hospitalization' ELSE 'consultation' END AS event_type, "
        "coalesce(concept_name, 'visit') AS set_name, NULL::VARCHAR AS brand, NULL::DOUBLE AS number, "
        "NULL::DOUBLE AS days, NULL::VARCHAR AS refuse "
        "FROM visit_occurrence LEFT JOIN concept ON concept_id::BIGINT = visit_concept_id::BIGINT"
    )


def _journey_id(omop: Omop, prefix: str) -> str:
    return f"({text(prefix)} || x.person_id || {text('_' + omop.indication)})"


def _as_of(omop: Omop) -> str:
    return f"TIMESTAMPTZ '{omop.as_of.isoformat()} 00:00:00+00'"


def prefix_of(source: str) -> str:
    """Prefix of the ids of a source: its name in lower case, words joined."""
    return re.sub(r"[^a-z0-9]+", "_", source.lower()).strip("_") + "_"
