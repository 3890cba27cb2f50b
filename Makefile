# make setup   .venv with what requirements.lock pins
# make check   ruff (rules and format), mypy, import-linter (imports point one way), oxlint (the page's scripts)
# make quick   tests that train nothing, in a few minutes
# make test    all tests
# make lock    requirements.lock from pyproject.toml

PYTHON ?= python3
BIN := .venv/bin
# Several GB come down at the first set-up: pip shows how far it is, where somebody can see it.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input $(shell test -t 2 || echo -qq)

# Without bytecode on disk, every process of a test would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup check quick test lock clean

setup: .venv/installed

# pip builds mmcv apart from torch, and so without its compiled ops; benchmark/ops serves them from torchvision.
.venv/installed: requirements.lock pyproject.toml setup.py
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v < (3, 13) else "Python 3.10 to 3.12, please: this is %d.%d. Name one: make setup PYTHON=python3.11" % v)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what requirements.lock pins into .venv (about 3 GB to download)"
	$(PIP) --require-hashes --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/lint-imports --no-logo
	$(BIN)/oxlint

quick: setup
	$(BIN)/python -m pytest -m "not slow and not trains" --dist worksteal

test: setup
	$(BIN)/python -m pytest

lock: setup
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --generate-hashes --no-emit-index-url --quiet --output-file requirements.lock --custom-compile-command 'make lock'

clean:
	rm -rf .venv
