# Two commands matter: `make run` and `make test`. Everything they make lies in .venv/, demo/ and the caches `make clean` removes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo/digits
CORE := .[torch,platform,serving,monitoring,dashboard]
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help run up test check ci clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/installed-core ## Carry the bundled digits project from code to live, watched traffic, and print what happened
	@[ -f $(DEMO)/onnxyard.toml ] || $(BIN)/onnxyard init $(DEMO) --template digits
	@$(BIN)/onnxyard tour $(DEMO)

up: $(VENV)/installed-core ## Everything running (serving, control, dashboard, MLflow, Prefect); Ctrl-C stops it all
	@[ -f $(DEMO)/onnxyard.toml ] || $(BIN)/onnxyard init $(DEMO) --template digits
	@$(BIN)/onnxyard up --home $(DEMO)/.onnxyard

test: $(VENV)/installed-all $(VENV)/browser ## Install everything and run the tests
	@$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile

check: $(VENV)/installed-all ## Lint (ruff), types (mypy strict), layering (import-linter)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PATH="$(CURDIR)/$(BIN):$$PATH" lint-imports --no-cache

ci: ## What .ci/run does: check, test, and the slow tests
	@bash .ci/run

clean: ## Remove the environment, the demo and all caches
	@rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the commands above need --------------------------------------------------------------------------------------

$(VENV)/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing. Install it: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: Onnxyard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) has no venv module. Install it: apt-get install $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; exit 1; }
	@echo "make: creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip==26.3

$(VENV)/installed-core: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "make: installing Onnxyard (a minute or two)"
	@$(PIP) --editable '$(CORE)'
	@touch $@

$(VENV)/installed-all: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "make: installing Onnxyard with every extra and the test tools (a few minutes)"
	@$(PIP) --editable '.[all]' --group dev
	@touch $@ $(VENV)/installed-core

# The browser tests drive a real Chromium: the one that is there, else Debian's, else Playwright's own.
$(VENV)/browser: | $(VENV)/installed-all
	@command -v chromium chromium-browser google-chrome >/dev/null \
	  || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && echo "make: installing chromium by apt" \
	       && apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install chromium >/dev/null; } \
	  || $(BIN)/playwright install chromium \
	  || { echo "make: the browser tests need Chromium. Install it: sudo apt-get install chromium"; exit 1; }
	@touch $@
