# make demo       a local exchange and the live client for ten seconds
# make test       everything that must hold and can be tried in 10 to 15 minutes
# make test-all   that, and what takes longer: chaos, repeated builds, more random schemas
# make bench      speed, as ratios to rivals
# make latency    from the exchange's send to a handler, beside other clients
# make docs       the pages of docs/ as a site, in build/docs
# Each sets up what it needs in .venv; PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .bench-venv
DOCS := .docs-venv
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test test-all bench latency docs build fuzz soak mutants wheels matrix clean

# Only what it needs is built: the decoder of the streams, and the feed.
demo: $(VENV)/tools
	@SBE_MODULES=live $(BIN)/python setup.py -q build_ext --inplace
	$(BIN)/binance-sbe demo

test: build
	$(BIN)/python tests/run.py $(PYTEST_ARGS)

test-all: build
	$(BIN)/python tests/run.py --all $(PYTEST_ARGS)

# The tests of the compiled code again, fuzzing included, with AddressSanitizer and UBSan.
fuzz: build
	PYTHON=$(BIN)/python tests/sanitized.sh

# A feed and a local exchange that fails, for so many seconds.
SOAK_SECONDS ?= 300
soak: build
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -q -s tests/slow/test_soak.py

# Small faults put into the code, one at a time, and which of them no test notices.
# MUTANTS="--sample 100 --seed 7 --of binance_sbe/feed" make mutants
mutants: build
	@$(BIN)/python tests/mutants.py $(MUTANTS)

# A wheel for each CPython that is here, audited and tried, with its bill of materials, in dist/.
# WHEELS="--twice 3.11": of one version, and the bytes have to come out the same again.
wheels:
	@$(PYTHON) tools/wheels.py $(WHEELS)

# The decoder of the streams and the feed on every CPython that is here: build, and the fast tests.
matrix:
	@tests/interpreters.sh

bench: build $(BENCH)/ready
	@PYTHONPATH=. $(BIN)/python -m Cython.Build.Cythonize -i -q \
		benchmarks/raw_reader.pyx benchmarks/book_loops.pyx benchmarks/memcpy_loops.pyx
	$(BENCH)/bin/python benchmarks/run.py

# From the exchange's send to a handler, beside other clients: about half an hour.
latency: build $(BENCH)/ready
	@PYTHONPATH=. $(BIN)/python -m Cython.Build.Cythonize -i -q benchmarks/raw_reader.pyx benchmarks/noting_handler.pyx
	$(BENCH)/bin/python benchmarks/latency.py $(LATENCY)

# The reference is written of what is built; Sphinx itself needs nothing of it. Warnings are errors.
docs: build $(DOCS)/ready
	$(BIN)/python docs/reference.py
	$(DOCS)/bin/sphinx-build -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

build: $(VENV)/ready
	@$(BIN)/python setup.py -q build_ext --inplace

# Compilers and what the commands need. The package is installed as it lies here, and compiled in place.
$(VENV)/tools: pyproject.toml
	@echo "setting up $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "binance-sbe needs Python 3.11 or later")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > $(VENV)/build.txt
	@$(PIP) -r $(VENV)/build.txt
	@SBE_MODULES=none $(PIP) --no-build-isolation -e ".[cli]"
	@touch $@

# What the tests need comes while the decoders are compiled.
$(VENV)/ready: $(VENV)/tools
	@echo "compiling the decoders of three schemas, and fetching what the tests need: 2 to 5 minutes"
	@SBE_MODULES=none $(PIP) --no-build-isolation -e ".[test]" & fetching=$$!; \
		$(BIN)/python setup.py -q build_ext --inplace || { kill $$fetching; exit 1; }; wait $$fetching
	@touch $@

# The rivals have an environment of their own, which sees the build in this directory.
$(BENCH)/ready: pyproject.toml $(VENV)/ready
	@echo "setting up $(BENCH), once"
	@$(PYTHON) -m venv $(BENCH)
	@$(BIN)/python benchmarks/peers.py | xargs $(BENCH)/bin/python -m pip install -q
	@$(BENCH)/bin/python -m pip install -q -r $(VENV)/build.txt
	@$(BENCH)/bin/python -c 'import os, sysconfig; \
		open(os.path.join(sysconfig.get_path("purelib"), "here.pth"), "w").write(os.getcwd())'
	@touch $@

$(DOCS)/ready: pyproject.toml
	@echo "setting up $(DOCS), once"
	@$(PYTHON) -m venv $(DOCS)
	@$(PYTHON) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*extras["optional-dependencies"]["docs"], sep="\n")' > $(DOCS)/docs.txt
	@$(DOCS)/bin/python -m pip install -q --disable-pip-version-check -r $(DOCS)/docs.txt
	@touch $@

clean:
	rm -rf $(VENV) $(BENCH) $(DOCS) docs/reference build benchmarks/build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find binance_sbe sbe_codegen benchmarks \
		\( -name '*.so' -o -name '*.c' -o -name '*.cpp' -o -name '*.html' ! -name page.html \) -delete
	rm -f binance_sbe/spot_stream.p* binance_sbe/spot_sbe.p* binance_sbe/fix_sbe.p*
