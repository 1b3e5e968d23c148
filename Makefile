# `make help` prints the targets. Each one first makes the virtual environment if it is missing or out of date.
PYTHON ?= python3
STACK  ?= sandbox
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help bootstrap up preview build doctor runner down stop status reset pulumi test check format bench lock clean

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Buildyard needs Python 3.10 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "This Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making the virtual environment in $(VENV) (a minute or two, once) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

bootstrap: $(VENV)/installed ## Deploy what an administrator creates once to the sandbox: ARGS=preview shows it.
	@$(BIN)/python -m sandbox bootstrap $(ARGS)

up: $(VENV)/installed ## Start the sandbox, preview and deploy the program to it, print the outputs.
	@$(BIN)/python -m sandbox up --stack $(STACK) $(ARGS)

preview: $(VENV)/installed ## Show what `make up` would change; ARGS=--diff shows every property.
	@$(BIN)/python -m sandbox preview --stack $(STACK) $(ARGS)

build: $(VENV)/installed ## Run the published pipeline here, with real BuildKit for both architectures.
	@$(BIN)/python -m sandbox build $(ARGS)

doctor: $(VENV)/installed ## Check the stack in the sandbox; ARGS=--build also builds, if `make runner` runs elsewhere.
	@$(BIN)/python -m sandbox doctor $(ARGS)

runner: $(VENV)/installed ## Run the jobs that wait in the sandbox's GitLab, with real BuildKit, until Ctrl-C.
	@$(BIN)/python -m sandbox runner $(ARGS)

down: $(VENV)/installed ## Destroy all that was deployed to the sandbox, then stop it.
	@$(BIN)/python -m sandbox down --stack $(STACK) $(ARGS)

stop: $(VENV)/installed ## Stop the sandbox; its data stays.
	@$(BIN)/python -m sandbox stop

status: $(VENV)/installed ## Show what runs in the sandbox, and where.
	@$(BIN)/python -m sandbox status

reset: $(VENV)/installed ## Stop the sandbox and delete its data: the next `make up` starts with a new one.
	@$(BIN)/python -m sandbox reset

pulumi: $(VENV)/installed ## Run any command of the pulumi CLI on the sandbox's stack: ARGS='stack export'.
	@$(BIN)/python -m sandbox pulumi $(ARGS)

test: $(VENV)/installed ## Run the tests; ARGS=--slow adds those that deploy for minutes.
	@$(BIN)/python -m sandbox.engine.install
	@$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check: $(VENV)/installed ## Lint, format check and strict types.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/installed ## Format the code and fix what ruff can fix.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/installed ## Measure rendering, previews and builds, print the tables, draw docs/benchmarks.svg.
	@$(BIN)/python -m benchmarks

lock: $(VENV)/installed ## Resolve pyproject.toml into the two requirements files anew.
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version=3.10 --generate-hashes \
	  --output-file=requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version=3.10 --generate-hashes --group=dev \
	  --constraint=requirements.txt --output-file=requirements-dev.txt pyproject.toml

clean: ## Delete the virtual environment and the caches; the sandbox's data stays.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
