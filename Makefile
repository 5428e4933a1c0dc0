# `make demo`, `make test` and `make docs` need only Python 3.11 or newer and make; each makes its own environment in .venv.
PYTHON ?= python3
BIN := .venv/bin
# A pip that is told of torch and torchvision together picks builds that belong together.
INSTALL := $(BIN)/python -m pip install --quiet

.PHONY: demo test test-all lint docs benchmark clean

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

# With the examples of the gallery run; the tests build it without.
docs: .venv/installed-dev
	$(BIN)/python -m sphinx -W --keep-going docs build/docs

benchmark: .venv/installed-dev
	$(BIN)/python -m pytest -m benchmark --benchmark-enable

clean:
	rm -rf .venv build *.egg-info docs/auto_gallery docs/generated docs/gallery/runs

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
