"""Benchmarks: run one with `python -m e2i_assets_tests.benchmarks.<name>`, the quick ones with `make bench`."""
