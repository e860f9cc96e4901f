# Daily targets. `make demo` and `make test` need only Python 3.10+, a C++ compiler and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The CUDA kernels can be run thread by thread on the CPU, to test them without a GPU.
EMULATION ?= ON
SOURCES := pyproject.toml CMakeLists.txt $(shell find recon cuda configs data/recipes -type f ! -name '*.so' ! -path '*/__pycache__/*')

.PHONY: demo test viewer-packages viewer lint docs bench gpu-check install dev clean

## demo: install, reconstruct the bundled three photos on the CPU, measure, write a report
demo: install
	$(BIN)/recon reconstruct data/sample/tabletop -o runs/demo --split data/sample/tabletop/split.json --preset quick --device cpu --overwrite

## test: the whole suite; real-data tests run when RECON_DATA names a folder of captures
test: install lint docs viewer-packages
	$(BIN)/pytest

## viewer-packages: what the tests of the viewer's page need from npm; without Node they skip
viewer-packages:
	@if command -v npm > /dev/null; then \
	  cd viewer && npm ci --no-audit --no-fund --loglevel=error; \
	else \
	  echo "no npm: the viewer's page is not tested in this run"; \
	fi

## viewer: build the page into recon/server/page (needs Node)
viewer:
	cd viewer && npm ci --no-audit --no-fund && npm run build

## lint: style, formatting and types
lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## docs: build the pages into site/, failing on any warning
docs: install
	$(BIN)/mkdocs build --strict --quiet

## bench: the rasterizer against its peers and this machine's limits
bench: install
	$(BIN)/python benchmarks/rasterizer.py

## gpu-check: build for this machine's GPU, compare every CUDA op with the CPU op, benchmark, write a dated result
gpu-check:
	$(PYTHON) benchmarks/gpu_check.py

## install: a virtual environment with recon and what its tests need
install: $(VENV)/.installed

$(VENV)/.installed: constraints.txt $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --config-settings=cmake.define.RECON_CUDA_EMULATION=$(EMULATION) ".[dev]"
	touch $@

## dev: build the kernels in place (recon/_core*.so) for the Python on PATH; needs nanobind, cmake and ninja there
dev:
	cmake -S . -B build/dev -G Ninja -DRECON_CUDA=$(or $(RECON_CUDA),OFF) -DRECON_CUDA_EMULATION=ON -DPython_EXECUTABLE="$$(command -v python)" > /dev/null
	cmake --build build/dev
	cmake --install build/dev --prefix .

clean:
	rm -rf $(VENV) build site runs viewer/node_modules
