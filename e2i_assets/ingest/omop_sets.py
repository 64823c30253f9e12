"""Concept sets of a mapping, member by member, by the vocabulary of the CDM."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import duckdb

from e2i_assets.ingest.databases import Only
from e2i_assets.ingest.omop_config import ConceptSet

RELATIONSHIP = ("concept_id_1", "concept_id_2", "relationship_id", "invalid_reason")


def make_sets(
    sql: duckdb.DuckDBPyConnection,
    concept_sets: Mapping[str, ConceptSet],
    provide: Callable[[str, Only | None, tuple[str, ...]], None],
) -> None:
    """Make the table `e2i_sets` of set names and concept ids, over a view of `concept_ancestor`.

    Args:
        provide: makes a view of a table of the CDM; asked for `concept_relationship` where a set needs it.
    """
    rows = [
        (name, excluded, concept.id, bool(concept.descendants), concept.mapped)
        for name, concept_set in concept_sets.items()
        for excluded, concepts in ((False, concept_set.included()), (True, concept_set.excluded()))
        for concept in concepts
    ]
    sql.execute(
        "CREATE TABLE e2i_stated "
        "(set_name VARCHAR, excluded BOOLEAN, concept_id BIGINT, descendants BOOLEAN, mapped BOOLEAN)"
    )
    sql.executemany("INSERT INTO e2i_stated VALUES (?, ?, ?, ?, ?)", rows)
    sql.execute("""
        CREATE TABLE e2i_reached AS SELECT set_name, excluded, concept_id, mapped FROM e2i_stated
        UNION SELECT set_name, excluded, descendant_concept_id::BIGINT, mapped
        FROM e2i_stated JOIN concept_ancestor ON ancestor_concept_id::BIGINT = concept_id
        WHERE descendants""")
    if any(mapped for *_, mapped in rows):
        mapped = sql.execute("SELECT DISTINCT concept_id FROM e2i_reached WHERE mapped").fetchall()
        provide("concept_relationship", ("concept_id_2", [concept for (concept,) in mapped]), RELATIONSHIP)
        sql.execute("""
            INSERT INTO e2i_reached SELECT set_name, excluded, concept_id_1::BIGINT, false
            FROM e2i_reached JOIN concept_relationship ON concept_id_2::BIGINT = concept_id
            WHERE mapped AND relationship_id = 'Maps to' AND nullif(invalid_reason::VARCHAR, '') IS NULL""")
    sql.execute("""
        CREATE TABLE e2i_sets AS SELECT set_name, concept_id FROM e2i_reached WHERE NOT excluded
        EXCEPT SELECT set_name, concept_id FROM e2i_reached WHERE excluded""")
