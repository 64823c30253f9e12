"""What a table is: columns, types, keys, roles and availability; nothing about where rows are kept.

DDL, the rules of loading and of quality control, Dagster's table schemas, the data dictionary and the feature
builder all read these contracts; a fact about a column stands here and nowhere else. Changing one takes a
revision: `warehouse/migrations` says how.
"""
