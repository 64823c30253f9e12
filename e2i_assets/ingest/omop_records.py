"""Records of an OMOP CDM that a mapping names as events: what is needed for them, and SQL that finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e2i_assets.ingest.omop_config import Asked, Index, Omop, Records
from e2i_assets.ingest.omop_tables import DAYS, LENGTH, NUMBERS, OF_PERSON, OF_VISIT, RECORD_TABLES

VISIT = ("visit_occurrence_id", "person_id", "visit_concept_id")


@dataclass(frozen=True)
class Needed:
    """What is needed of a table with records of persons.

    Attributes:
        columns: those that are read.
        sets: concept sets, of one of which every record that is needed is; None: it may be of any concept.
    """

    columns: tuple[str, ...] = ()
    sets: frozenset[str] | None = frozenset()

    def with_more(self, columns: Sequence[str], sets: frozenset[str] | None) -> Needed:
        """This and more of the same table."""
        of_any = self.sets is None or sets is None
        joined = None if of_any else (self.sets or frozenset()) | (sets or frozenset())
        return Needed(tuple(dict.fromkeys([*self.columns, *columns])), joined)


def needed(omop: Omop) -> dict[str, Needed]:
    """What the events of a mapping need of the CDM, by table."""
    tables: dict[str, Needed] = {}
    for records in omop.events.values():
        table = RECORD_TABLES[records.table]
        columns = [*table.columns, *(a.field for a in records.where if a.field in table.asked)]
        if records.source_concept_set is not None and table.source_concept is not None:
            columns.append(table.source_concept)
        if records.table == "condition_occurrence":
            columns.append("condition_source_concept_id")
        if records.table == "drug_exposure":
            columns.append("days_supply")
        if any(asked.field == OF_VISIT for asked in records.where):
            columns.append(VISIT[0])
            tables["visit_occurrence"] = tables.get("visit_occurrence", Needed()).with_more(VISIT, None)
        sets = None if records.concept_set is None else frozenset({records.concept_set})
        tables[records.table] = tables.get(records.table, Needed()).with_more(columns, sets)
    return tables


def found(records: Records) -> str:
    """SQL of the records: person, first and last day, the record's id and the source's condition."""
    table = RECORD_TABLES[records.table]
    start = f"{table.start}::DATE"
    source = "NULL::BIGINT"
    if records.table == "condition_occurrence":
        source = "condition_source_concept_id::BIGINT"
    of_sets = [
        f"{column}::BIGINT IN (SELECT concept_id FROM e2i_sets WHERE set_name = {text(name)})"
        for column, name in (
            (table.concept, records.concept_set),
            (table.source_concept, records.source_concept_set),
        )
        if name is not None
    ]
    asked = ["r.ordinal = 1"] * records.first + [_condition(a) for a in records.where]
    joins = ""
    if any(a.field in OF_PERSON for a in records.where):
        joins += " JOIN e2i_births p ON p.person_id = r.person"
    if any(a.field == OF_VISIT for a in records.where):
        joins += (
            " JOIN visit_occurrence v ON v.visit_occurrence_id::BIGINT = r.visit_occurrence_id::BIGINT"
            " AND v.person_id::BIGINT = r.person"
        )
    return f"""
        SELECT r.person AS person_id, r.day, r.end_day, r.id, r.source_concept FROM (
            SELECT *, person_id::BIGINT AS person, {start} AS day, {_end(records)} AS end_day,
                {f"{table.end}::DATE" if table.end else "NULL::DATE"} AS recorded_end,
                {table.key}::BIGINT AS id, {source} AS source_concept, row_number() OVER (
                    PARTITION BY person_id ORDER BY {start}, {table.key}::BIGINT) AS ordinal
            FROM {records.table} WHERE {" AND ".join(of_sets) or "true"}
        ) r{joins} WHERE {" AND ".join(asked) or "true"}"""


def _end(records: Records) -> str:
    """The last day of a record; where the CDM has none that of its supply, or the day after the first."""
    table = RECORD_TABLES[records.table]
    start = f"{table.start}::DATE"
    ends = [f"{table.end}::DATE"] if table.end is not None else []
    if records.table == "drug_exposure":
        ends.append(f"{start} + try_cast(days_supply AS BIGINT)::INTEGER")
    if records.table not in ("visit_occurrence", "condition_era", "drug_era"):
        ends.append(f"{start} + 1")
    return f"coalesce({', '.join(ends)})"


def _condition(asked: Asked) -> str:
    """What is asked of a record, over the columns of `found`."""
    field = {"start_date": "r.day", "end_date": "r.recorded_end", LENGTH: "r.end_day - r.day"} | OF_PERSON
    sql = field.get(asked.field, f"v.{OF_VISIT}::BIGINT" if asked.field == OF_VISIT else "")
    if not sql:
        sql = f"try_cast(r.{asked.field} AS {'DOUBLE' if asked.field in NUMBERS else 'BIGINT'})"
    values = asked.value if isinstance(asked.value, tuple) else (asked.value,)
    literals = [f"DATE '{value}'" if asked.field in DAYS else f"{value!r}" for value in values]
    match asked.operator:
        case "between":
            return f"{sql} BETWEEN {literals[0]} AND {literals[1]}"
        case "not_between":
            return f"{sql} NOT BETWEEN {literals[0]} AND {literals[1]}"
        case "in":
            return f"{sql} IN ({', '.join(literals)})"
        case "not_in":
            return f"{sql} NOT IN ({', '.join(literals)})"
        case "==":
            return f"{sql} = {literals[0]}"
        case "!=":
            return f"{sql} <> {literals[0]}"
        case operator:
            return f"{sql} {operator} {literals[0]}"


def index_records(omop: Omop) -> str:
    """SQL of the records that can be the index event, as `found` has them."""
    if isinstance(omop.index, Index):
        return " UNION ALL ".join(f"({found(omop.events[name])})" for name in omop.index.events)
    return f"""
        SELECT person_id::BIGINT AS person_id, condition_start_date::DATE AS day, NULL::DATE AS end_day,
            condition_occurrence_id::BIGINT AS id, condition_source_concept_id::BIGINT AS source_concept
        FROM condition_occurrence JOIN e2i_sets ON concept_id = condition_concept_id::BIGINT
        WHERE set_name = {text(omop.index)}"""


def text(value: str | None) -> str:
    """A text as SQL."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"
