# make demo    a local exchange and the live client for ten seconds
# make test    everything that must hold
# make bench   speed, as ratios to rivals
# Each sets up what it needs in .venv; PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .bench-venv
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test bench build fuzz soak clean

demo: build
	$(BIN)/binance-sbe demo

test: build
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# The tests of the compiled code again, fuzzing included, with AddressSanitizer and UBSan.
fuzz: build
	PYTHON=$(BIN)/python tests/sanitized.sh

# A feed and a local exchange that fails, for so many seconds.
SOAK_SECONDS ?= 300
soak: build
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -q -s tests/test_soak.py

bench: build $(BENCH)/ready
	@PYTHONPATH=. $(BIN)/python -m Cython.Build.Cythonize -i -q benchmarks/raw_reader.pyx benchmarks/book_loops.pyx
	$(BENCH)/bin/python benchmarks/run.py

build: $(VENV)/ready
	@$(BIN)/python setup.py -q build_ext --inplace

$(VENV)/ready: pyproject.toml
	@echo "setting up $(VENV), once: three to six minutes"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "binance-sbe needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q "setuptools>=77" "Cython>=3.1" "numpy>=2.0" "lxml>=5.0" "jinja2>=3.1"
	@echo "compiling the decoders of three schemas; about two minutes"
	@$(BIN)/python -m pip install -q --no-build-isolation -e ".[test]" 2> $(VENV)/install.log || \
		{ cat $(VENV)/install.log; exit 1; }
	touch $@

# The rivals have an environment of their own, which sees the build in this directory.
$(BENCH)/ready: pyproject.toml $(VENV)/ready
	@echo "setting up $(BENCH), once"
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install -q --upgrade pip
	$(BIN)/python benchmarks/peers.py | xargs $(BENCH)/bin/python -m pip install -q
	$(BENCH)/bin/python -m pip install -q "setuptools>=77" "Cython>=3.1" "jinja2>=3.1"
	$(BENCH)/bin/python -c 'import os, sysconfig; \
		open(os.path.join(sysconfig.get_path("purelib"), "here.pth"), "w").write(os.getcwd())'
	touch $@

clean:
	rm -rf $(VENV) $(BENCH) build benchmarks/build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find binance_sbe sbe_codegen benchmarks \
		\( -name '*.so' -o -name '*.c' -o -name '*.cpp' -o -name '*.html' \) -delete
	rm -f binance_sbe/spot_stream.p* binance_sbe/spot_sbe.p* binance_sbe/fix_sbe.p*
