# Sets itself up with plain pip; a second run installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: demo test test-fast test-all check status claims sets clean

RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)

demo: $(VENV)/.core
	$(BIN)/unalike fit emoji --out $(RUN)
	$(BIN)/unalike search $(RUN) "chat heureux" -k 5

# On every push: all unit tests, and the systems that the change reaches, and a sixth of the others (tests/suite/tiers.py).
test: $(VENV)/.test check
	$(PYTEST) --tier change --doctest-modules src tests

# Three minutes: lint, types, the plan of the house, a training of every system.
test-fast: $(VENV)/.test check
	$(PYTEST) --tier fast tests/test_house.py tests/systems/test_contract.py

# Everything: every system, groups of processes, drawn input, the commands of every page, probes of all results.
test-all: $(VENV)/.test check sets
	$(PYTEST) --doctest-modules src tests
	$(BIN)/unalike check --status

# Does the code that is here still compute what was measured? Probes of the rows whose code has changed.
status: $(VENV)/.test sets
	$(BIN)/unalike check --status

# Measures every claim whose result is stale or missing.
claims: $(VENV)/.test sets
	$(BIN)/unalike check --all
	$(BIN)/python scripts/build_docs.py

# The sets that claims are measured on; nothing is fetched or made twice.
sets: $(VENV)/.test
	for set in mnist animals clutter clutter-lt rotated glyph glyph-24 glyph-new glyph-lt pasted motions games descriptions debtags word-similarity shuttle movielens aeon asterisk smollm2 minilm three-names xor; do $(BIN)/unalike data get $$set || exit 1; done

check: $(VENV)/.test
	$(BIN)/ruff check src tests benchmarks scripts conftest.py
	$(BIN)/ruff format --check src tests benchmarks scripts conftest.py
	$(BIN)/mypy

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
