# `make demo`, `make test` and `make lint` each work alone from a fresh clone: they share the
# environment .venv, set up once and again when what it depends on changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REQUIREMENTS := $(wildcard requirements/*.txt)
CONSTRAINTS := -c requirements/constraints.txt

DEMO_DET := configs/obsdm/obsdm_r18_demo.py
DEMO_SEG := configs/ismallnet/ismallnet_demo.py
DEMO_DIR := work_dirs/demo

.PHONY: demo test test-avx2 test-floor test-newest lint env
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
	@echo '== demo 1/4: training $(DEMO_DET) into $(DEMO_DIR)/det (synthetic images, CPU, minutes)'
	$(BIN)/python tools/train.py $(DEMO_DET) --work-dir $(DEMO_DIR)/det
	@echo '== demo 2/4: testing the last checkpoint, drawing its detections'
	$(BIN)/python tools/test.py $(DEMO_DET) "$$(cat $(DEMO_DIR)/det/last_checkpoint)" \
		--work-dir $(DEMO_DIR)/det/test --show-dir pictures
	@echo '== demo 3/4: training $(DEMO_SEG) into $(DEMO_DIR)/seg (synthetic infrared images)'
	$(BIN)/python tools/train.py $(DEMO_SEG) --work-dir $(DEMO_DIR)/seg
	@echo '== demo 4/4: testing the last checkpoint, drawing hits, misses and false alarms'
	$(BIN)/python tools/test.py $(DEMO_SEG) "$$(cat $(DEMO_DIR)/seg/last_checkpoint)" \
		--work-dir $(DEMO_DIR)/seg/test
	$(BIN)/python tools/analysis_tools/visualize_irstd.py $(DEMO_SEG) \
		"$$(cat $(DEMO_DIR)/seg/last_checkpoint)" --out $(DEMO_DIR)/seg/pictures --limit 8
	@echo '== demo: done'
	@for part in det seg; do \
		echo "   $$part: checkpoint  $$(cat $(DEMO_DIR)/$$part/last_checkpoint)"; \
		echo "   $$part: metrics     in the table above and $$(ls -t $(DEMO_DIR)/$$part/test/*/*.json | head -n 1)"; \
		echo "   $$part: log         $$(ls -t $(DEMO_DIR)/$$part/*/*.log | head -n 1)"; \
	done
	@echo "   det: pictures    $$(ls -td $(DEMO_DIR)/det/test/*/pictures | head -n 1) (truth left, detections right)"
	@echo "   seg: pictures    $(DEMO_DIR)/seg/pictures"

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

# Parity with the authors' programs on a CPU without AVX-512.
test-avx2: $(STAMP)
	ATEN_CPU_CAPABILITY=avx2 DNNL_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/reference_parity -k 'not converter'

# Beside the oldest PyTorch that requirements/mminstall.txt allows, and beside the newest.
test-floor:
	.ci/other_torch 2.6.0 0.21.0

test-newest:
	.ci/other_torch 2.14.1 0.29.1

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
