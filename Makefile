# make demo    a local exchange and the live client for ten seconds
# make test    everything that must hold
# make bench   speed, as ratios to rivals
# Each sets up what it needs in .venv; PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test bench build fuzz clean

demo: build
	$(BIN)/binance-sbe demo

test: build
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The tests of the compiled code again, fuzzing included, with AddressSanitizer and UBSan.
fuzz: build
	PYTHON=$(BIN)/python tests/sanitized.sh

bench: build $(VENV)/bench-ready
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-disable-gc -q

build: $(VENV)/ready
	@$(BIN)/python setup.py -q build_ext --inplace

$(VENV)/ready: pyproject.toml
	@echo "setting up $(VENV), once: three to four minutes"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "binance-sbe needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q "setuptools>=77" "Cython>=3.1" "numpy>=2.0" "lxml>=5.0" "jinja2>=3.1"
	@echo "compiling the decoders of three schemas; about two minutes"
	@$(BIN)/python -m pip install -q --no-build-isolation -e ".[test]" 2> $(VENV)/install.log || \
		{ cat $(VENV)/install.log; exit 1; }
	touch $@

$(VENV)/bench-ready: $(VENV)/ready
	$(BIN)/python -m pip install -q --no-build-isolation -e ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find binance_sbe sbe_codegen -name '*.so' -delete -o -name '*.c' -delete -o -name '*.html' -delete
	rm -f binance_sbe/spot_stream.p* binance_sbe/spot_sbe.p* binance_sbe/fix_sbe.p*
