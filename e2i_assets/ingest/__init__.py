"""Rows on their way into the warehouse: the synthetic processes, other people's files, the loader.

Nothing here knows about brands' models or about Dagster; what comes out are tables that fit their contracts.
"""
