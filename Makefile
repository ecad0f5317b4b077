# make demo: see a real Ray job analysed.  make test: lint, types, layers, the docs as a site, tests.
# make bench: speed at a small size, beside what others take.
# make docs: the documentation as a site, in .site.
# make fuzz: damaged and hostile input for an hour (FUZZ_SECONDS, FUZZ_SEED).
# make screenshots: the pictures of the docs.
# make torture: merges, traced processes and clusters killed in all ways (TORTURE_SCALE); writes docs/reliability.md.
# make audit: known weaknesses of the dependencies, their licences, and sbom.json.
# make dist: both packages as they would be published, in dist/, checked and tried on every Python here (PYTHONS).
# make test-lowest: a quick part of the tests with the oldest versions of all dependencies that pyproject.toml allows.
# make test-matrix: the hook's tests on old and new versions of Ray; takes long, and is no part of make test.
# They make .venv first (with uv, which is installed into it where there is none, else with pip) and work again at once later.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
, := ,
# Called with a Python and what is to be installed for it. pip takes several times as long; it is there for an index that
# only it is told of.
install = { uv=$$(command -v uv || command -v $(BIN)/uv) && \
	"$$uv" pip install --quiet --python $(1) $(2); } || \
	$(1) -m pip install --quiet --disable-pip-version-check $(2)
# What is not compiled at the installation is so at its first use, once.
unexport PYTHONDONTWRITEBYTECODE

# All tests, two files at a time, those on Ray beside those that compute: with more, Serve waits for its proxies in vain.
ALL_TESTS := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-matrix test-lowest lint types tests fuzz torture audit dist docs bench clean browser screenshots

demo: .venv/.demo
	$(BIN)/python -m raytrace_analyze demo

test: lint types docs tests

lint: .venv/.test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports --no-logo

types: .venv/.test
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy --config-file hook/pyproject.toml

# The documentation as a site; a link that leads nowhere is an error.
docs: .venv/.test
	$(BIN)/python -m zensical build --clean --strict

# Ratios beside named peers; SIZE=large for all of it, ARGS=--write for benchmarks/RESULTS.md. Then a path's and a
# prediction's CPU time a span, what recording a span costs, and what tracing costs a program of tiny tasks.
SIZE ?= small

bench: .venv/.test
	$(BIN)/python -m benchmarks.suite --size $(SIZE) $(ARGS)
	$(BIN)/python -m benchmarks.path_speed --small
	$(BIN)/python -m benchmarks.replay_speed 20000
	$(BIN)/python -m benchmarks.hook_overhead
	$(BIN)/python -m benchmarks.tiny_tasks --tasks 5000 --slow-tasks 0 --rounds 1
	$(BIN)/python -m benchmarks.library_overhead

tests: .venv/.test browser
	$(BIN)/python -m pytest $(or $(ARGS),$(ALL_TESTS))

# The tests of the page need a Chromium; without one they are skipped, which they say.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	{ command -v apt-get >/dev/null && test "$$(id -u)" = 0 && apt-get update -qq && \
	apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
	echo "make: no Chromium here, and none can be installed: the report is NOT tested in a browser" >&2

# The pictures of the docs, from the sample spans.
screenshots: .venv/.test browser
	$(BIN)/python -m docs.screenshots

FUZZ_SECONDS ?= 3600
FUZZ_SEED ?= $(shell date +%s)

fuzz: .venv/.test
	$(BIN)/python -m tests.faults.fuzz --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

TORTURE_SCALE ?= 1

torture: .venv/.test
	$(BIN)/python -m tests.torture --scale $(TORTURE_SCALE) --write

# The audit asks a registry of known weaknesses about what an installation takes along. Where that tells nothing it says
# so, and the rest is made all the same; a weakness that is found fails.
AUDIT := .venv/audit/bin/pip-audit --progress-spinner off --no-deps --disable-pip --format json -r .venv/audit/pins.txt

audit: .venv/.test .venv/audit/.ready
	$(BIN)/python -m tests.dependencies licences
	$(BIN)/python -m tests.dependencies sbom > sbom.json
	$(BIN)/python -m tests.dependencies pins > .venv/audit/pins.txt
	-$(AUDIT) > .venv/audit/found.json
	@if test -s .venv/audit/found.json; then $(BIN)/python -m tests.dependencies weaknesses < .venv/audit/found.json; \
	else echo "make: NOT CHECKED: no registry of weaknesses can be asked here" >&2; fi

.venv/audit/.ready: | .venv/bin/python
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@touch $@

# Tried outside the repository, in environments with nothing else in them; PYTHONS adds to python3.11 to python3.13.
dist: .venv/.test .venv/twine/.ready
	$(BIN)/python -m tests.packages dist $(PYTHONS)
	.venv/twine/bin/twine check --strict dist/*

.venv/twine/.ready: | .venv/bin/python
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check twine
	@touch $@

LOWEST_TESTS ?= tests/test_table.py tests/test_critical_path.py tests/test_decode_span_json.py tests/test_exports.py \
	tests/test_cli.py tests/test_inputs.py tests/hook/test_files.py tests/faults/test_cases.py
LOWEST_PYTHON ?= python3.11

# Without pydot: the oldest networkx that is allowed cannot read DOT with one of today; the test that does so is skipped.
test-lowest: .venv/lowest/.ready
	.venv/lowest/bin/python -m pytest -m 'not slow and not ray' $(or $(ARGS),$(LOWEST_TESTS))

.venv/lowest/.ready: pyproject.toml hook/pyproject.toml | .venv/bin/python
	"$(LOWEST_PYTHON)" -m venv $(@D)
	$(BIN)/python -m tests.dependencies lowest > $(@D)/lowest.txt
	@$(call install,$(@D)/bin/python,'setuptools<81' pytest hypothesis jsonschema duckdb \
	  -c $(@D)/lowest.txt -e ./hook -e .)
	@touch $@

.venv/bin/python:
ifeq ($(UV),)
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer on the PATH; set PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
else
	uv venv --quiet --seed --python "$(or $(PYTHON),3.12)" .venv
endif

.venv/.demo: pyproject.toml hook/pyproject.toml | .venv/bin/python
	@$(call install,$(BIN)/python,-e ./hook -e '.[demo]')
	@touch $@

.venv/.test: pyproject.toml hook/pyproject.toml | .venv/bin/python
	@$(call install,$(BIN)/python,-e ./hook -e '.[demo$(,)dev]')
	@touch $@ .venv/.demo

# The hook's tests on the oldest, a middle and the current Ray (with the OpenTelemetry SDK after the slash), its libraries
# with it, on what these were written for.
MATRIX ?= 2.9.3/1.20.0 2.40.0/1.29.0 latest/latest
MATRIX_PYTHON ?= python3.11
OF_2.9.3 := 'pyarrow<16' 'numpy<2' 'pandas<2.2' 'fastapi<0.110' 'pydantic<2.7'
OF_2.40.0 := 'pyarrow<19' 'numpy<2' 'pandas<2.3' 'fastapi<0.116' 'pydantic<2.11'

test-matrix: $(MATRIX:%=.venv/matrix/%/.ready)
	@for each in $(MATRIX); do echo "Ray / OpenTelemetry $$each"; \
	.venv/matrix/$$each/bin/python -m pytest tests/hook $(ARGS) && \
	.venv/matrix/$$each/bin/python -m pytest tests/hook/test_each_library.py -m ray || exit 1; done

.venv/matrix/%/.ready: pyproject.toml hook/pyproject.toml
	"$(MATRIX_PYTHON)" -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check 'setuptools<81' pytest hypothesis \
	  $(if $(filter latest%,$*),'ray[data$(,)serve$(,)train$(,)tune]', \
	  'ray[data$(,)serve$(,)train$(,)tune]==$(firstword $(subst /, ,$*))' \
	  opentelemetry-sdk==$(lastword $(subst /, ,$*))) $(OF_$(firstword $(subst /, ,$*))) \
	  -e ./hook -e '.[demo]'
	@touch $@

clean:
	rm -rf .venv raytrace-demo
