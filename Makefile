# The commands of this checkout: demo, test, check, docs, soak, coverage, wheel. Each makes .venv first where it is missing or
# old.
# soak is what takes load and hundreds of kills: the tests beside eight busy processes, then kills at moments drawn anew.
# test-tpu needs an older torch than these have, so it has an environment of its own.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-tpu check docs soak coverage wheel
demo: .venv/installed
	$(BIN)/lightning-base crossval --config configs/digits_cnn.yaml

test: .venv/installed
	$(BIN)/python -m pytest

test-tpu: .venv-tpu/installed
	.venv-tpu/bin/python -m pytest tests/tpu

soak: .venv/installed
	$(BIN)/python -m tests.support.busy 8 $(BIN)/python -m pytest
	$(BIN)/python -m pytest -m soak tests/soak

coverage: .venv/installed  # a figure, of the tests that start no cluster and take less than ten seconds each
	$(BIN)/python -m pytest -m "not slow and not cluster and not soak" \
		--cov=lightning_base --cov=models --cov=datamodules --cov-report=term:skip-covered --no-cov-on-fail

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

wheel: .venv/installed  # and the source archive, into dist/
	$(BIN)/python -m hatchling build

docs: .venv/installed  # a site in site/; links that lead nowhere fail, but not with --quiet; then all that pages show is run
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m pytest -m docs tests/docs --dist=load

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.venv-tpu/installed: pyproject.toml
	$(PYTHON) -m venv .venv-tpu
	.venv-tpu/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[tpu]' 'pytest>=9' 'pytest-xdist>=3.8'
	touch $@
