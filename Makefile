# Everything runs in .venv, which `make` creates itself. Needs Python 3.11 or newer with venv.

PYTHON ?= python3
ROLE   ?= reader
ARGS   ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --quiet --disable-pip-version-check
RUN  := $(VENV)/.installed
DEV  := $(VENV)/.installed-dev

.DEFAULT_GOAL := help

.PHONY: help run token venv test lint types bench soak clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN) ## Start the gateway with example backends (PORT=8000); Ctrl-C stops all
	@$(BIN)/python -m examples

token: $(RUN) ## Print a development token (ROLE=reader, writer or admin)
	@$(BIN)/python -m examples.tokens "$(ROLE)"

venv: $(RUN) ## Create .venv with the pinned dependencies

test: $(DEV) ## Run the tests (ARGS= for pytest)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

lint: $(DEV) ## Check style and formatting
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(DEV) ## Check types
	$(BIN)/python -m mypy

bench: $(DEV) ## Measure what forwarding costs
	$(BIN)/python bench/forward.py $(ARGS)

soak: $(DEV) ## Run the long tests under load
	$(BIN)/python -m pytest -m soak tests $(ARGS)

clean: ## Remove .venv, the development secret and all caches
	rm -rf $(VENV) .run .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	rm -rf tests/peers/*/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp, so that a second run is quick. Messages go to stderr: `make token` prints only a token.
$(RUN): requirements.txt setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it like this: make PYTHON=python3.11 ...")'
	@echo "Installing dependencies into $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -r requirements.txt >&2
	@touch $@

$(DEV): $(RUN) requirements-dev.txt
	@echo "Installing development tools into $(VENV) ..." >&2
	@$(PIP) install -r requirements-dev.txt >&2
	@touch $@
