# make demo   train, build, profile, report: the whole of Edgewright on the digits that come with scikit-learn
# make demo-fleet  a fleet of three: from its first key to a bad release that is stopped (under 3 minutes)
# make test   set up and run the tests
# make lint   ruff, mypy, import-linter
# make bench  everything that the performance claims are made from (long)
# make docs   rewrite the tables of the documentation that follow from code
# make setup  .venv with everything; Debian packages where we are root (what is there already is left alone)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.edgewright-setup
DEMO_OUT ?= build

.PHONY: setup demo demo-fleet test lint format bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml tools/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" bash tools/setup.sh
	@touch $@

demo: $(STAMP)
	$(BIN)/edgewright build examples/digits/edge.toml --out $(DEMO_OUT)

demo-fleet: $(STAMP)
	$(BIN)/python -m examples.fleet.demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart=0 --durations=15 --durations-min=10

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m benchmarks

docs: $(STAMP)
	$(BIN)/python -m tools.docs --write

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
