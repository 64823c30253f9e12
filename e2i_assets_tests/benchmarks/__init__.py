"""Benchmarks: run one with `python -m e2i_assets_tests.benchmarks.<name>`, those of docs/benchmarks.md with `make bench`."""
