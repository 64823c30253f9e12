"""All that is PostgreSQL: connection, embedded server, migrations, records, loads, extracts, queries."""
