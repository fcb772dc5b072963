# Two commands on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test test-processes test-wheel test-browser test-slurm lint install clean

run: $(STAMP)
	$(BIN)/meddistill trial

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not slow"

# Kills, launchers, several processes side by side, whole trials: what takes long.
test-processes: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m slow --ignore=tests/sweeps/test_slurm.py

# The wheel alone, in an empty folder with an empty environment.
test-wheel: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/test_wheel.sh

# The report in a browser.
test-browser: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/test_browser.sh

# Sweeps, kills and requeues on a real SLURM of this machine.
test-slurm: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/test_slurm.sh

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) outputs dist
