# make demo: see a real Ray job analysed.  make test: lint, types, layers, tests.
# Both make .venv first (with uv where it is installed, else with python's venv and pip) and work again at once later.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
ifeq ($(UV),)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
else
INSTALL := uv pip install --quiet --python $(BIN)/python
endif

.PHONY: demo test lint types tests bench clean

demo: .venv/.demo
	$(BIN)/python -m raytrace_analyze demo

test: lint types tests

lint: .venv/.test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports --no-logo

types: .venv/.test
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy --config-file hook/pyproject.toml

tests: .venv/.test
	$(BIN)/python -m pytest $(ARGS)

.venv/bin/python:
ifeq ($(UV),)
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer on the PATH; set PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
else
	uv venv --quiet --python "$(or $(PYTHON),3.12)" .venv
endif

.venv/.demo: pyproject.toml hook/pyproject.toml | .venv/bin/python
	$(INSTALL) -e ./hook -e '.[demo]'
	@touch $@

.venv/.test: pyproject.toml hook/pyproject.toml | .venv/bin/python
	$(INSTALL) -e ./hook -e '.[demo,dev]'
	@touch $@ .venv/.demo

clean:
	rm -rf .venv raytrace-demo
