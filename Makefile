# What a developer and an operator of one machine need. Variables of the environment configure the service itself.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
UV     := $(shell command -v uv 2>/dev/null)
COMPILE = uv pip compile --quiet --python-version 3.11 --no-annotate --custom-compile-command "make lock" --no-emit-index-url

# DEBUG makes a machine of one's own easy; whoever sets SECRET_KEY or DEBUG has decided otherwise.
WITH_DEBUG = if [ -z "$$SECRET_KEY$$DEBUG" ]; then DEBUG=true; export DEBUG; fi

# Where nothing keeps the bytecode, each process compiles the whole code, and the service starts several.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all services-test coverage chaos bench lint format docs api-docs messages clients screenshots lock

help: ## Say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; \
		do printf '  make %-14s %s\n' "$$name" "$$text"; done

run: $(VENV)/.installed ## Set up and run the whole service on this machine (PORT=8000); Ctrl-C stops it
	@$(WITH_DEBUG); exec $(BIN)/python manage.py dev $(ARGS)

# Data of its own, whatever the environment says of other data: the demo never gets among what is real.
demo: $(VENV)/.installed ## The same with a full desk to look at, on data of its own in var/demo (PORT=8000)
	@$(WITH_DEBUG); unset DATABASE_URL REDIS_URL CELERY_BROKER_URL; AGENTSITE_DATA=var/demo AGENT_TOOLS=demo.tools; \
		export AGENTSITE_DATA AGENT_TOOLS; $(BIN)/python manage.py migrate -v0 && \
		$(BIN)/python manage.py seed_demo && exec $(BIN)/python manage.py dev $(ARGS)

# Processes at once. Some tests wait, for a browser or a lease that runs out, so there are more than processors; but each
# process spends seconds on imports before its first test.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test: $(VENV)/.installed-dev ## Run the tests on SQLite and files (ARGS="-k resume" for some of them)
	@unset DATABASE_URL REDIS_URL CELERY_BROKER_URL SECRET_KEY; DEBUG=true exec $(PYTEST) $(ARGS)

test-all: $(VENV)/.installed-dev ## The same with those that are long by nature
	@unset DATABASE_URL REDIS_URL CELERY_BROKER_URL SECRET_KEY; DEBUG=true exec $(PYTEST) --long $(ARGS)

services-test: $(VENV)/.installed-dev ## Run the tests on the PostgreSQL and Redis of DATABASE_URL and REDIS_URL
	@if [ -z "$$DATABASE_URL" ] || [ -z "$$REDIS_URL" ]; then \
		echo "Set DATABASE_URL and REDIS_URL to servers on which the tests may make databases of their own." >&2; exit 1; fi
	@unset SECRET_KEY; DEBUG=true exec $(PYTEST) --long $(ARGS)

# Tests of whole processes and of pages in a browser are left out: they take longest, and what a killed process has run is
# lost with it. The floor (pyproject.toml) is for all the others together, so it does not count where ARGS chooses some.
WHOLE = browser services benchmarks devserver scale schema upgrade
coverage: $(VENV)/.installed-dev ## Say which lines and branches the quick tests don't reach; fail below the floor
	@mkdir -p var/coverage; $(BIN)/coverage erase
	@unset DATABASE_URL REDIS_URL CELERY_BROKER_URL SECRET_KEY; DEBUG=true $(BIN)/coverage run -m pytest -n $(JOBS) \
		--dist worksteal -m "not slow" $(addprefix --ignore=tests/,$(WHOLE)) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet --fail-under=0
	@$(BIN)/coverage report $(if $(ARGS),--fail-under=0)

chaos: $(VENV)/.installed-dev ## Run tasks under fire: kills, stalls, restarts (ARGS="--runs 1000 --kills 300"; needs both servers installed)
	$(BIN)/python benchmarks/chaos.py $(ARGS)

bench: $(VENV)/.installed-dev ## Measure the service beside the bare graph and bare views (ARGS=--quick sees only that it runs; needs both servers installed)
	$(BIN)/python benchmarks/bench.py $(ARGS)

lint: $(VENV)/.installed-dev ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	@unset SECRET_KEY; echo "$(BIN)/mypy ."; DEBUG=true exec $(BIN)/mypy .

format: $(VENV)/.installed-dev ## Put imports and layout in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs ## Make the documentation a site in var/site
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs var/site

api-docs: $(VENV)/.installed ## Write docs/reference/api.md from the schema, its introduction and its examples
	@unset SECRET_KEY; DEBUG=true $(BIN)/python manage.py api_docs

messages: $(VENV)/.installed-dev ## Bring the translations up to date with the code, compile them, say what is left to translate
	@unset SECRET_KEY; DEBUG=true $(BIN)/python -m scripts.messages

clients: $(VENV)/.installed-dev ## Write what the clients in client/ share with the API: their types, the client without asyncio
	@unset SECRET_KEY; DEBUG=true $(BIN)/python -m scripts.clients

screenshots: $(VENV)/.installed-dev ## Take the pictures of the documentation anew (ARGS="--only queue"; needs Chromium)
	$(BIN)/python scripts/screenshots.py $(ARGS)

lock: ## Compile requirements*.in into the pinned requirements*.txt (ARGS=--upgrade for newer versions)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) $(ARGS) requirements-otel.in -o requirements-otel.txt
	$(COMPILE) $(ARGS) requirements-docs.in -o requirements-docs.txt

# Installing. The stamps are newer than the requirements that were installed last.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Agentsite needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo missing)." \
			"Install it, or name another: make run PYTHON=python3.12" >&2; exit 1; }
ifdef UV
	@uv venv --quiet --clear --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null || { \
		echo "$(PYTHON) can't make a virtual environment: install its venv module (apt-get install python3-venv)." >&2; \
		rm -rf $(VENV); exit 1; }
endif

ifdef UV
INSTALL = uv pip install --quiet --python $(BIN)/python
else
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt into $(VENV)"
ifndef UV
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
endif
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing requirements-dev.txt into $(VENV)"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.txt
	@echo "Installing requirements-docs.txt into $(VENV)"
	@$(INSTALL) -r requirements-docs.txt
	@touch $@
