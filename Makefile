# The commands of this checkout: demo, test, check. Each makes .venv first where it is missing or old.
# test-tpu needs an older torch than these have, so it has an environment of its own.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-tpu check
demo: .venv/installed
	$(BIN)/lightning-base crossval --config configs/digits_cnn.yaml

test: .venv/installed
	$(BIN)/python -m pytest

test-tpu: .venv-tpu/installed
	.venv-tpu/bin/python -m pytest tests/tpu

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.venv-tpu/installed: pyproject.toml
	$(PYTHON) -m venv .venv-tpu
	.venv-tpu/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[tpu]' 'pytest>=9'
	touch $@
