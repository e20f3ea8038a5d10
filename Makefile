# What people and CI call; `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-servers faults check check-types check-sql lint audit docs clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
UV := $(shell command -v uv 2>/dev/null)
# One worker more than processors, for each waits now and then, for a server or a clock. A file stays
# with one of them, as its tests share what they made; tests/conftest.py has the order.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## install everything into .venv (once)

$(READY): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (once) ..."
ifneq ($(UV),)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@$(PYTHON) -m venv $(VENV)
	@# Python 3.11.7 brings a pip that takes the extra of a locked package for another one.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $(READY)

run: $(READY) ## the demo: real requests the whole way, and a report to open
	@$(BIN)/omniledger demo

test: check ## all checks and all tests
	@$(PYTEST)

test-fast: $(READY) ## the tests that take less than a few seconds
	@$(PYTEST) -m "not slow"

test-servers: $(READY) ## the tests of the database on each other PostgreSQL of this machine too
	@OMNILEDGER_TEST_PG_BIN=$${OMNILEDGER_TEST_PG_BIN:-all} $(PYTEST) tests/migrations tests/functions tests/expectations

faults: $(READY) ## kill upgrades at every step, crash the server, lose nothing
	@$(BIN)/python -m pytest -q -s tests/faults

check: lint ## lint, types, models, SQL, migrations
	@$(MAKE) --no-print-directory --jobs=2 check-types check-sql

check-types: $(READY)
	@$(BIN)/mypy

check-sql: $(READY)
	@.ci/check-sql

lint: $(READY) ## ruff, format and lint
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .

audit: ## ask a public list for known weaknesses of what is locked (needs network and uv)
	@uvx pip-audit --no-deps --disable-pip -r requirements.lock

docs: $(READY) ## the site anew from the published figures
	@$(BIN)/omniledger site build

clean: ## remove what was built, the embedded database and .venv
	@if [ -x $(BIN)/omniledger ]; then $(BIN)/omniledger db stop; fi
	rm -rf $(VENV) .omniledger site dist target logs
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
