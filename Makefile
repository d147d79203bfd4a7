# Makegood: `make demo` shows it at work, `make test` proves it. Needs Python 3.11 or newer, and make.
# Tests of generated clients and of pages need Node.js, a JDK and Chromium too; without them they are skipped, with advice.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STACK ?= embedded
STORY ?= provider-missed
PACKAGES := libs/contracts libs/calendar libs/plans libs/chassis libs/devtools libs/stack libs/testkit services/booking services/availability services/credits services/notifications cli
STAMP := $(VENV)/.makegood-ready
TOOLS := $(VENV)/supply-chain
MANIFESTS := pyproject.toml $(addsuffix /pyproject.toml,$(PACKAGES))
# Only this environment counts, whatever else is active in the shell.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME UV_PROJECT_ENVIRONMENT
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without its byte code every process would compile all it imports anew, seconds each.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test lint supply-chain-tools sbom known-vulnerabilities format lock up down status clean

help:
	@echo "make demo               the platform on this machine, and the story of a missed session"
	@echo "make demo STORY=late-cancellation  another story"
	@echo "make demo STACK=compose the same story against docker compose"
	@echo "make test               every test"
	@echo "make lint               ruff, mypy and bandit"
	@echo "make sbom               the software bill of materials of the locked packages (CycloneDX)"
	@echo "make known-vulnerabilities  which locked packages have any, where the network allows it"
	@echo "make setup              the environment alone (.venv)"
	@echo "make up, down, status   the platform without the story"
	@echo "make format             let ruff format the code"
	@echo "make lock               compile requirements.lock anew"
	@echo "make clean              stop everything and remove .venv and .makegood"

setup: $(STAMP)
	@:

# The stamp is written last: a half-made environment has none and is made anew.
$(STAMP): requirements.lock $(MANIFESTS) deploy/setup.sh deploy/setup-requirements.lock
	@sh deploy/setup.sh "$(VENV)" "$@" $(PACKAGES)

demo: setup
	@$(BIN)/makegood demo "$(STORY)" --stack "$(STACK)"

# So many processes run the tests, each with servers of its own (about 2 GB of memory each).
JOBS ?= 2
test: setup
	@$(BIN)/pytest --rules-report --numprocesses $(JOBS) --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: setup supply-chain-tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "some files are not formatted: make format"; exit 1; }
	@$(BIN)/mypy $(wildcard libs services cli tests benchmarks deploy/gateway)
	@$(TOOLS)/bin/bandit -q -c pyproject.toml -r $(wildcard libs services cli deploy benchmarks) 2>/dev/null # there: marks of parts of a line that have no finding

# Tools that nothing needs to run: an environment of their own, made by whoever asks for one of them.
supply-chain-tools: $(TOOLS)/.ready
	@:
$(TOOLS)/.ready: deploy/supply-chain-requirements.lock | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TOOLS)
	@$(BIN)/uv pip install --quiet --python $(TOOLS)/bin/python --require-hashes -r deploy/supply-chain-requirements.lock
	@touch $@

# What the locked packages are, as CycloneDX: made when somebody asks, so that it cannot be older than the lock.
SBOM ?= .makegood/sbom.cdx.json
sbom: supply-chain-tools
	@mkdir -p "$(dir $(SBOM))"
	@$(TOOLS)/bin/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml \
		--output-format JSON --spec-version 1.6 --output-reproducible --output-file "$(SBOM)"
	@echo "$(SBOM): the software bill of materials"

known-vulnerabilities: supply-chain-tools
	@$(TOOLS)/bin/python deploy/known_vulnerabilities.py

format: setup
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

COMPILE := uv pip compile --universal --generate-hashes --no-annotate --no-header --quiet --no-emit-index-url --no-emit-find-links
lock: setup
	@$(BIN)/$(COMPILE) pyproject.toml --group dev \
		$(foreach package,$(PACKAGES),--no-emit-package makegood-$(notdir $(package))) -o requirements.lock
	@$(BIN)/$(COMPILE) deploy/supply-chain-requirements.in --python-version 3.11 -o deploy/supply-chain-requirements.lock
	@$(BIN)/$(COMPILE) tests/clients/requirements.in --python-version 3.11 -o tests/clients/requirements.lock
	@if grep -nE '^ *(--(index|extra-index|find-links|trusted)|-i |-f )|://' requirements.lock deploy/supply-chain-requirements.lock tests/clients/requirements.lock; then \
		echo "a lock must hold no address"; exit 1; fi
	@echo "the locks are up to date"

up: setup
	@$(BIN)/makegood up

down:
	@if [ -x $(BIN)/makegood ]; then $(BIN)/makegood down; else echo "nothing is set up"; fi

status: setup
	@$(BIN)/makegood status

clean: down
	@rm -rf $(VENV) .makegood
