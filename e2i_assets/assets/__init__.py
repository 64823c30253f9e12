"""The assets, one module per stage in the order of the data: thin, each around one call into the domain."""
