# `make demo` starts the platform, `make test` runs the tests. You need Python 3.11 or newer, and make.
# Tests of generated clients and of pages also need Node.js, a JDK and Chromium; without them they are skipped.
SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STACK ?= embedded
STORY ?= provider-missed
PACKAGES := libs/contracts libs/calendar libs/plans libs/chassis libs/devtools libs/stack libs/testkit services/booking services/availability services/credits services/notifications cli libs/simulator
STAMP := $(VENV)/.makegood-ready
DATA := $(VENV)/.data-ready
TOOLS := $(VENV)/supply-chain
CONTRACT_TOOLS := $(VENV)/data-contracts
WAREHOUSE_TOOLS := $(VENV)/warehouse
MANIFESTS := pyproject.toml $(addsuffix /pyproject.toml,$(PACKAGES))
# Ignore other active environments of the shell.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME UV_PROJECT_ENVIRONMENT
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without byte code, every process would compile its imports again, which takes seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup data demo test test-extended lint supply-chain-tools sbom known-vulnerabilities data-contract-tools data-contracts warehouse-tools warehouse format lock up down status clean

help:
	@echo "make demo               start the platform and play the story of a missed session"
	@echo "make demo STORY=late-cancellation  play another story (or why-cant-i-book)"
	@echo "make demo STACK=compose run it in containers"
	@echo "make test               run all tests"
	@echo "make test-extended      run the tests that take minutes, or need an engine or a cluster"
	@echo "make lint               run ruff, mypy and bandit"
	@echo "make sbom               write the software bill of materials (CycloneDX)"
	@echo "make known-vulnerabilities  list known vulnerabilities of the locked packages"
	@echo "make data-contracts     lint the data contracts; with KAFKA=host:port also test its topics"
	@echo "make warehouse EXPORT=DIR  build and test the warehouse of an export to DuckDB, and run its notebook"
	@echo "make setup              make the virtual environment (.venv)"
	@echo "make data               add what makegood topics export needs (pyarrow, DuckDB, PyIceberg)"
	@echo "make up, down, status   start, stop and inspect the platform"
	@echo "make format             format the code"
	@echo "make lock               update requirements.lock"
	@echo "make clean              stop everything and delete .venv and .makegood (the data too)"

setup: $(STAMP)
	@:

# The stamp is written last, so an unfinished environment is made again.
$(STAMP): requirements.lock $(MANIFESTS) deploy/setup.sh deploy/setup-requirements.lock
	@sh deploy/setup.sh "$(VENV)" "$@" $(PACKAGES)

# The extra `data` of the command line, about 300 MB that the platform itself does without.
data: $(DATA)
	@:
$(DATA): $(STAMP) deploy/data-requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r deploy/data-requirements.lock
	@touch $@

demo: setup
	@$(BIN)/makegood demo "$(STORY)" --stack "$(STACK)"

# The number of test processes. Each has its own servers and needs about 2 GB of memory. One more than two cores, because tests
# also wait for servers.
JOBS ?= 3
test: data
	@$(BIN)/pytest --rules-report --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder -m "not extended" $(ARGS)

# One test after the other, because they measure, or load the machine.
test-extended: data
	@$(BIN)/pytest -m extended $(ARGS)

lint: data supply-chain-tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "some files are not formatted: make format"; exit 1; }
	@$(BIN)/mypy $(wildcard libs services cli tests benchmarks deploy/gateway deploy/observability) deploy/warehouse/build.py deploy/warehouse/generate_staging.py
	@$(TOOLS)/bin/bandit -q -c pyproject.toml -r $(wildcard libs services cli deploy benchmarks) 2>/dev/null # it complains about nosec comments without a finding

# Tools with their own environment, which is made when one of them is first used.
supply-chain-tools: $(TOOLS)/.ready
	@:
$(TOOLS)/.ready: deploy/supply-chain-requirements.lock | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TOOLS)
	@$(BIN)/uv pip install --quiet --python $(TOOLS)/bin/python --require-hashes -r deploy/supply-chain-requirements.lock
	@touch $@

# The bill of materials is made on request, so that it is never older than the lock.
SBOM ?= .makegood/sbom.cdx.json
sbom: supply-chain-tools
	@mkdir -p "$(dir $(SBOM))"
	@$(TOOLS)/bin/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml \
		--output-format JSON --spec-version 1.6 --output-reproducible --output-file "$(SBOM)"
	@echo "wrote $(SBOM)"

known-vulnerabilities: supply-chain-tools
	@$(TOOLS)/bin/python deploy/known_vulnerabilities.py

data-contract-tools: $(CONTRACT_TOOLS)/.ready
	@:
$(CONTRACT_TOOLS)/.ready: deploy/data-contracts-requirements.lock | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(CONTRACT_TOOLS)
	@$(BIN)/uv pip install --quiet --python $(CONTRACT_TOOLS)/bin/python --require-hashes -r deploy/data-contracts-requirements.lock
	@touch $@

KAFKA ?=
data-contracts: data-contract-tools
	@$(CONTRACT_TOOLS)/bin/python deploy/check_data_contracts.py $(if $(KAFKA),--kafka $(KAFKA)) $(ARGS)

warehouse-tools: $(WAREHOUSE_TOOLS)/.ready
	@:
$(WAREHOUSE_TOOLS)/.ready: deploy/warehouse/requirements.lock | setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(WAREHOUSE_TOOLS)
	@$(BIN)/uv pip install --quiet --python $(WAREHOUSE_TOOLS)/bin/python --require-hashes -r deploy/warehouse/requirements.lock
	@touch $@

# Where `makegood topics export DIR --format duckdb` wrote to.
EXPORT ?= .makegood/export
warehouse: warehouse-tools
	@$(WAREHOUSE_TOOLS)/bin/python deploy/warehouse/build.py "$(EXPORT)" $(ARGS)

format: setup
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

COMPILE := uv pip compile --universal --generate-hashes --no-annotate --no-header --quiet --no-emit-index-url --no-emit-find-links
lock: setup
	@$(BIN)/$(COMPILE) pyproject.toml --group dev \
		$(foreach package,$(PACKAGES),--no-emit-package makegood-$(notdir $(package))) -o requirements.lock
	@$(BIN)/$(COMPILE) cli/pyproject.toml --extra data --constraints requirements.lock \
		$(foreach package,$(PACKAGES),--no-emit-package makegood-$(notdir $(package))) -o deploy/data-requirements.lock
	@$(BIN)/$(COMPILE) deploy/supply-chain-requirements.in --python-version 3.11 -o deploy/supply-chain-requirements.lock
	@$(BIN)/$(COMPILE) deploy/data-contracts-requirements.in --python-version 3.11 -o deploy/data-contracts-requirements.lock
	@$(BIN)/$(COMPILE) deploy/warehouse/requirements.in --python-version 3.11 -o deploy/warehouse/requirements.lock
	@$(BIN)/$(COMPILE) tests/clients/requirements.in --python-version 3.11 -o tests/clients/requirements.lock
	@$(BIN)/$(COMPILE) tests/generated/requirements.in --python-version 3.11 -o tests/generated/requirements.lock
	@$(BIN)/$(COMPILE) tests/helm/requirements.in --no-deps --python-version 3.11 -o tests/helm/requirements.lock
	@$(BIN)/$(COMPILE) benchmarks/peers/requirements.in --python-version 3.11 -o benchmarks/peers/requirements.lock
	@if grep -nE '^ *(--(index|extra-index|find-links|trusted)|-i |-f )|://' requirements.lock deploy/data-requirements.lock deploy/supply-chain-requirements.lock \
			deploy/data-contracts-requirements.lock deploy/warehouse/requirements.lock tests/clients/requirements.lock tests/generated/requirements.lock tests/helm/requirements.lock benchmarks/peers/requirements.lock; then \
		echo "a lock must not contain addresses"; exit 1; fi
	@echo "the locks are up to date"

up: setup
	@$(BIN)/makegood up

down:
	@if [ -x $(BIN)/makegood ]; then $(BIN)/makegood down; else echo "nothing is set up"; fi

status: setup
	@$(BIN)/makegood status

clean: down
	@rm -rf $(VENV) .makegood
