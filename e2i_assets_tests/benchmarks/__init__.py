"""Benchmarks: run one with `python -m e2i_assets_tests.benchmarks.<name>`, those of the README with `make bench`."""
