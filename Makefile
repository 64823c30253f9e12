# Each target sets up .venv when it is missing or the lock changed. Needs Python 3.11 or later, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Without bytecode on disk every process compiles its 3,000 modules anew, which takes 10 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test coverage check unit map docs up lint lock bench revision
.DEFAULT_GOAL := help

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r requirements.lock -e .
	@touch $@

demo: $(INSTALLED) ## Every brand and indication, from raw tables to a Bento bundle
	@$(BIN)/e2i demo

# Tests of a file stay with one worker and share what it sets up.
PARALLEL := --dist loadfile --no-loadscope-reorder

# A worker of its own for each core: threads of the libraries in each would only wait for each other.
test coverage unit: export OMP_NUM_THREADS := 1

# More workers than cores: many tests wait for a server.
TESTS := -m pytest $(PARALLEL) --numprocesses 3

test: $(INSTALLED) ## All tests
	@$(BIN)/python $(TESTS)

# Marks in the bytecode, each taken out once it has been passed: they cost a tenth of the tests' CPU time, tracing would
# cost 20 to 45 % before Python 3.14.
coverage: $(INSTALLED) ## All tests, and what of each package they cover
	@$(BIN)/python -W 'ignore:Unable to activate:RuntimeWarning' -m slipcover --branch --source e2i_assets --json \
		--out .coverage.json $(TESTS)
	@$(BIN)/python -m e2i_assets_tests.coverage_report

# Side by side: the types take one core for most of the time that the tests take.
check: $(INSTALLED) ## What to run before a commit: lint and the unit tests, in three minutes
	@$(MAKE) --no-print-directory --jobs=2 lint unit

unit: $(INSTALLED)
	@$(BIN)/pytest $(PARALLEL) --numprocesses 2 e2i_assets_tests/unit

up: $(INSTALLED) ## Open Dagit on http://127.0.0.1:3000
	@$(BIN)/e2i up

lint: $(INSTALLED) ## Style, types, layers and loadable definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dagster definitions validate --workspace workspace.yaml

map: $(INSTALLED) ## Draw docs/house.svg, the map of the packages, from the code
	@$(BIN)/python -m e2i_assets_tests.house_map

# Material's notice of its successor goes to standard error of every build.
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(INSTALLED) ## Build the documentation: site/index.html, which loads nothing from elsewhere
	@$(BIN)/python -m mkdocs build --strict --quiet

bench: $(INSTALLED) ## The figures of docs/benchmarks.md
	@$(BIN)/python -m e2i_assets_tests.benchmarks.imports
	@$(BIN)/python -m e2i_assets_tests.benchmarks.generate
	@$(BIN)/python -m e2i_assets_tests.benchmarks.load
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.sensor_tick
	@$(BIN)/python -m e2i_assets_tests.benchmarks.leakage
	@$(BIN)/python -m e2i_assets_tests.benchmarks.bench_cohort
	@$(BIN)/python -m e2i_assets_tests.benchmarks.cohort_parquet
	@$(BIN)/python -m e2i_assets_tests.benchmarks.cohort_events
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.accuracy
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.tuning
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.studies
	@$(BIN)/python -m e2i_assets_tests.benchmarks.one_row
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.bench_serving
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.partition
	@$(BIN)/python -W ignore -m e2i_assets_tests.benchmarks.drift
	@$(BIN)/python -m e2i_assets_tests.benchmarks.demo
	@$(BIN)/python -m e2i_assets_tests.benchmarks.demo --full

revision: $(INSTALLED) ## Write a migration of what contracts and records changed: m="what changes"
	@$(BIN)/python -m e2i_assets.warehouse.migrations "$(m)"
	@$(BIN)/ruff format --quiet e2i_assets/warehouse/migrations/versions

lock: ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --upgrade --quiet --no-header \
	  --no-annotate pyproject.toml -o requirements.lock
