# The three commands of this checkout: demo, test, check. Each makes .venv first where it is missing or old.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check
demo: .venv/installed
	$(BIN)/lightning-base crossval --config configs/digits_cnn.yaml

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
