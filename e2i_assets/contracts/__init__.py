"""What a table is: columns, types, keys, roles and availability; nothing about where rows are kept.

DDL, the schema layer of quality control, Dagster's table schemas and the feature builder all read these
contracts; a fact about a column stands here and nowhere else.
"""
