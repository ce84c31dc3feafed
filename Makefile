# `make demo`, `make test` and `make lint` each work alone from a fresh clone: they share the
# environment .venv, set up once and again when what it depends on changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REQUIREMENTS := $(wildcard requirements/*.txt)
CONSTRAINTS := -c requirements/constraints.txt

DEMO_CONFIG := configs/obsdm/obsdm_r18_demo.py
DEMO_DIR := work_dirs/demo

.PHONY: demo test lint env
.DELETE_ON_ERROR:

env: $(STAMP)

$(STAMP): setup.py pyproject.toml $(REQUIREMENTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(CONSTRAINTS) setuptools
	$(BIN)/python -m pip install torch==2.13.0 torchvision==0.28.0 $(CONSTRAINTS)
	$(BIN)/python -m pip install $(CONSTRAINTS) \
		-r requirements/runtime.txt -r requirements/mminstall.txt -r requirements/det.txt \
		-r requirements/seg.txt -r requirements/ssl.txt -r requirements/tests.txt
	$(BIN)/python -m pip install -e . --no-deps --no-build-isolation
	touch $@

demo: $(STAMP)
	@echo '== demo 1/2: training $(DEMO_CONFIG) into $(DEMO_DIR) (synthetic images, CPU, minutes)'
	$(BIN)/python tools/train.py $(DEMO_CONFIG) --work-dir $(DEMO_DIR)
	@echo '== demo 2/2: testing the last checkpoint, drawing its detections'
	$(BIN)/python tools/test.py $(DEMO_CONFIG) "$$(cat $(DEMO_DIR)/last_checkpoint)" \
		--work-dir $(DEMO_DIR)/test --show-dir pictures
	@echo '== demo: done'
	@echo "   checkpoint        $$(cat $(DEMO_DIR)/last_checkpoint)"
	@echo "   metrics           in the table above and $$(ls -t $(DEMO_DIR)/test/*/*.json | head -n 1)"
	@echo "   pictures          $$(ls -td $(DEMO_DIR)/test/*/pictures | head -n 1) (truth left, detections right)"
	@echo "   training log      $$(ls -t $(DEMO_DIR)/*/*.log | head -n 1)"

test: $(STAMP)
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest --cov --cov-report=term

lint: $(STAMP)
	$(BIN)/python -m ruff check .
