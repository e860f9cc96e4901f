# Daily targets. `make demo` and `make test` need only Python 3.10+, a C++ compiler and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: dev
# Builds the kernels in place (recon/_core*.so) for the Python on PATH; needs nanobind and cmake installed there.
dev:
	cmake -S . -B build/dev -G Ninja -DRECON_CUDA=$(or $(RECON_CUDA),OFF) -DRECON_CUDA_EMULATION=ON -DPython_EXECUTABLE="$$(command -v python)" > /dev/null
	cmake --build build/dev
	cmake --install build/dev --prefix .
