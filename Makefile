# Every target sets up .venv by itself when it is missing or older than what it is made from.
# PYTHONDONTWRITEBYTECODE makes every import two to four times slower, and the tests start many processes.
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv)
# Older Airflows; each has a file with the pins in which its set differs.
AIRFLOW_VERSIONS ?= $(patsubst constraints-airflow-%.txt,%,$(wildcard constraints-airflow-*.txt))
MATRIX_TESTS ?= tests/unit tests/contract tests/dags

.PHONY: help demo test test-faults test-matrix system check format bench calibration simulate dist docs airflow constraints clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@echo "[set-up] installing into $(VENV) (once)"
ifneq ($(UV),)
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
else
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
endif
	@touch $@

demo: $(READY) ## a churn model from a CSV to a promoted champion, in real Airflow tasks
	@$(BIN)/python -m scripts.demo

test: $(READY) ## all tests, a process per core
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-faults: $(READY) ## kills, races and outages in their long form, on SQLite and PostgreSQL (apt-get install postgresql)
	@$(BIN)/python -m pytest tests/faults -m 'faults or not faults'

test-matrix: $(AIRFLOW_VERSIONS:%=test-airflow-%) ## unit, contract and DAG tests on older Airflows: AIRFLOW_VERSIONS="3.1.8 3.2.2"

test-airflow-%: .venvs/airflow-%/.ready
	@echo "[matrix] Airflow $*: $(MATRIX_TESTS)"
	@.venvs/airflow-$*/bin/python -m pytest -n auto --dist loadfile -p no:cacheprovider $(MATRIX_TESTS)

.PRECIOUS: .venvs/airflow-%/.ready
# The older set is constraints.txt with that version's pins in place of its own. pip compiles nothing beforehand: most
# of what it installs is never imported here.
.venvs/airflow-%/.ready: pyproject.toml constraints.txt constraints-airflow-%.txt
	@echo "[matrix] installing Airflow $* into $(@D) (once)"
	@mkdir -p $(@D)
	@awk -F== 'NR == FNR { own[tolower($$1)]; print; next } !(tolower($$1) in own)' \
		constraints-airflow-$*.txt constraints.txt > $(@D)/constraints.txt
ifneq ($(UV),)
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --constraint $(@D)/constraints.txt --editable '.[dev]'
else
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--constraint $(@D)/constraints.txt --editable '.[dev]'
endif
	@touch $@
system: $(READY) ## the whole loop on PostgreSQL, Redis, S3 and Celery (apt-get install postgresql redis-server)
	@$(BIN)/python -m pytest tests/system -m system

check: $(READY) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## speed, as ratios against a yardstick in the same run
	@$(BIN)/python -m benchmarks

calibration: $(READY) ## false alarms and power of the drift decision, simulated: a table and a picture
	@$(BIN)/python -m benchmarks.calibration

dist: $(READY) ## wheel and source distribution, tried in an empty environment
	@$(BIN)/python -m scripts.check_dist

docs: $(READY) ## a page for each operator in docs/operators, from the docstrings
	@$(BIN)/python -m scripts.make_docs

simulate: $(READY) ## scripted years of real customers under several policies for retraining
	@$(BIN)/python -m scripts.simulate

airflow: $(READY) ## a local Airflow with UI and an MLflow server, the example DAGs loaded
	@$(BIN)/python -m scripts.local_airflow

constraints: $(READY) ## write the tested set anew
	@{ echo '# The tested set: names and versions only. Made by "make constraints".'; \
	   $(BIN)/python -m pip list --format freeze --exclude-editable --exclude pip --exclude setuptools; } > constraints.txt

clean: ## remove what the targets made
	rm -rf $(VENV) .venvs .demo .airflow .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
