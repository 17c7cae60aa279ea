# Every target sets up what it needs; nothing but Python 3.11 and make is taken for granted.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --constraint constraints.txt
.DEFAULT_GOAL := help
.PHONY: help setup run check test test-cluster bench results clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(VENV)/.run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable ".[dev]"
	@touch $@

setup: $(VENV)/.dev ## make .venv with pinned versions of everything, tests and benchmarks included

run: $(VENV)/.run ## train, test and report the five-minute tour: film-review sentiment
	@$(BIN)/python -m llm_lab +experiment=sentiment

check: $(VENV)/.dev ## formatting, lint, strict types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

test: $(VENV)/.dev ## the whole suite
	@$(BIN)/python -m pytest -n 2 --dist loadscope

test-cluster: $(VENV)/.dev ## a real Slurm, Ray, two network namespaces; as root installs what Debian has for them
	@tests/cluster/install.sh
	@$(BIN)/python -m pytest -n 2 --dist loadscope -m cluster

bench: $(VENV)/.dev ## the benchmarks, side by side with their peers; BENCH=name for one table
	@$(BIN)/python -m llm_lab.bench $(BENCH)

results: $(VENV)/.dev ## measure what has no figure yet, and write docs/results.md
	@$(BIN)/python -m llm_lab results

clean: ## remove the environment and what tools left behind; runs stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
