"""What Alembic runs: the revisions on the given connection, in the transaction that it is in."""

from __future__ import annotations

from alembic import context

from e2i_assets.warehouse.ddl import SCHEMA
from e2i_assets.warehouse.monitoring_records import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    # The schemas of MLflow and Dagster are theirs.
    include_schemas=True,
    include_name=lambda name, kind, parents: kind != "schema" or name == SCHEMA,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
