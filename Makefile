# `make demo` and `make test` need only Python 3.11 or newer and make; each makes its own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
# A pip that is told of torch and torchvision together picks builds that belong together.
INSTALL := $(BIN)/python -m pip install --quiet

.PHONY: demo test test-all lint benchmark clean

demo: .venv/installed
	$(BIN)/evolift demo --output runs/demo --overwrite

test: .venv/installed-dev lint
	$(BIN)/python -m pytest -n 2

test-all: .venv/installed-dev lint
	$(BIN)/python -m pytest -m "not benchmark"

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy examples/predict_onnx.py

benchmark: .venv/installed-dev
	$(BIN)/python -m pytest -m benchmark --benchmark-enable

clean:
	rm -rf .venv build *.egg-info

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "evolift needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(INSTALL) torch torchvision
	$(INSTALL) --editable ".[render]"
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) --editable ".[dev,all]"
	touch $@
