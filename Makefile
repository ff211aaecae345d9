# Two commands on a fresh machine with Python 3.11: `make demo` and `make test`. Everything else is listed by `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BASE_PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-out
# what a contributor adds: make test PYTEST="-k dates -x"
PYTEST ?=
JOBS ?= 2

.PHONY: help venv demo test torture bench lint types floors format docs servers lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-9s %s\n' "$$name" "$$what"; done

venv: $(VENV)/.ready ## .venv with every package at its locked version, and caseweave itself from this folder

$(VENV)/.ready: requirements/test.txt pyproject.toml
	@if [ ! -x $(BIN)/python ]; then requirements/make-venv "$(BASE_PYTHON)" $(VENV); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv ## a filled breast cancer workbook into FHIR and OMOP, in ./demo-out
	@mkdir -p build/demo
	$(BIN)/caseweave template breast --example -o build/demo/breast-example.xlsx
	CASEWEAVE_KEY_FILE=build/demo/breast.key $(BIN)/caseweave run build/demo/breast-example.xlsx -o $(DEMO)
	@echo
	@echo "Look at"
	@echo "  build/demo/breast-example.xlsx   the filled form"
	@echo "  $(DEMO)/fhir/*.ndjson            FHIR R4 resources, a file per type"
	@echo "  $(DEMO)/omop.sqlite              the OMOP tables"
	@echo "  $(DEMO)/report.html              the report: who needs work, how complete the form is"
	@echo "  $(DEMO)/findings.csv             what the form left open, with its cells"
	@echo "  $(DEMO)/manifest.json            the sums: what was read is what was loaded, ignored, missing or rejected"

test: lint servers ## what a contributor runs: style, types, floors, then every test but the long ones
	tests/services/offline $(BIN)/python -m pytest -m "not torture" -n $(JOBS) --dist loadgroup $(PYTEST)

torture: venv servers ## the long enumerations: odd workbooks, crash points, fault scripts
	tests/services/offline $(BIN)/python -m pytest -m torture $(PYTEST)

bench: venv ## times and ratios at 1k, 5k and 25k patients
	$(BIN)/python -m benchmarks

lint: venv types floors ## ruff, mypy --strict, and imports that only point down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

floors: venv
	$(BIN)/lint-imports --no-logo

format: venv ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: venv ## write the pages that are made from the mappings, and the references
	$(BIN)/python docs/generate.py
	$(BIN)/python -m caseweave.spec.schema
	$(BIN)/python -m caseweave.quality.schema
	$(BIN)/python -m tests.robustness.page

servers: venv ## PostgreSQL, LibreOffice, Java and the FHIR validator for the tests, where they can be had
	@tests/services/install $(BIN)/python

lock: ## resolve requirements/*.txt anew (needs uv)
	uv pip compile pyproject.toml --group test --all-extras --python-version 3.11 --python-platform linux --generate-hashes --no-header --output-file requirements/test.txt
	uv pip compile pyproject.toml requirements/image.in --python-version 3.11 --python-platform linux --generate-hashes --no-header --no-annotate --constraint requirements/test.txt --output-file requirements/image.txt

clean: ## remove what this Makefile made, the virtual environment too
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find etl tests -name __pycache__ -type d -prune -exec rm -rf {} +
