# Every target sets itself up in .venv, once. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# The tests of a file stay in one process, where they share what its fixtures made.
# A test that hangs ends its process with the stacks of all threads, and nothing goes on after a process that died.
LIMITED := $(BIN)/pytest -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true
PYTEST := $(LIMITED) -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m 'not soak and not cluster'
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Real slides for tests and benchmarks; where the folder is absent their skip is counted and printed.
export TILEWISE_DATA ?= $(abspath ../shared/data)
# Bytecode is written: without it every process that a test starts compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=
DEMO := demo

# Time for each recipe of `make systems`.
BUDGET ?= 20m

.PHONY: help install demo test test-avx2 check soak bench docs package systems format clean

help:
	@echo "make install tilewise in $(VENV), with what serve, explain, doubts and wsi need; then: source $(VENV)/bin/activate"
	@echo "make demo    the whole job on a cohort it makes itself (minutes)"
	@echo "make test    every check: format, lint, types, layers, tests"
	@echo "make test-avx2  the tests as on a processor with AVX2 only: no AVX-512, no bfloat16"
	@echo "make soak    the long tests: runs killed at random moments and resumed"
	@echo "make bench   every benchmark of docs/benchmarks.md"
	@echo "make docs    the documentation site, with its tutorial run anew: docs/_build/index.html"
	@echo "make package wheel and sdist in dist/, the wheel tried in an environment of its own"
	@echo "make systems the five systems beside each other, BUDGET=20m for each"
	@echo "make format  put the code into shape"
	@echo "make clean   remove .venv, $(DEMO)/ and systems/"

$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tilewise needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	@echo "Setting up $(VENV) (once; a minute or two) ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

install: $(VENV)/.core
	$(PIP) --editable '.[serve,explain,doubts,wsi]'

$(VENV)/.dev: $(VENV)/.core
	$(PIP) --editable '.[dev,fast,bench,wsi,segment,hub,lite2,ensemble,explain,mlflow,serve]'
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	$(PIP) --editable '.[docs,doubts,explain]'
	@touch $@

docs: $(VENV)/.docs
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	@echo "docs/_build/index.html"

package: $(VENV)/.dev
	$(BIN)/python scripts/build_package.py --install

demo: $(VENV)/.core
	@$(BIN)/python scripts/demo.py $(DEMO)

check: $(VENV)/.dev
	$(BIN)/ruff format --check --quiet src tests benchmarks scripts
	$(BIN)/ruff check --quiet src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(PYTEST)
	$(LIMITED) -m 'cluster and not soak' tests/execution

# oneDNN computes for torch and OpenVINO; with its cap tilewise chooses float32 too. ATen's own kernels have another.
test-avx2: export ONEDNN_MAX_CPU_ISA := AVX2
test-avx2: export ATEN_CPU_CAPABILITY := avx2
test-avx2: $(VENV)/.dev
	$(PYTEST)

soak: $(VENV)/.dev
	$(BIN)/pytest -m soak

bench: $(VENV)/.dev
	@for script in $(filter-out benchmarks/systems.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

systems: $(VENV)/.dev
	$(BIN)/python benchmarks/systems.py --budget $(BUDGET)

format: $(VENV)/.dev
	$(BIN)/ruff format src tests benchmarks scripts
	$(BIN)/ruff check --fix src tests benchmarks scripts

clean:
	rm -rf $(VENV) $(DEMO) systems
