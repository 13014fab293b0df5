# From a fresh clone, each of these makes its own .venv first.  Needed: python3, pip, a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
export PATH := $(abspath $(BIN)):$(PATH)
SOURCES := $(wildcard csrc/*.[ch] csrc/kernels/*.[ch]) setup.py fastwavenet/_engine.pyx fastwavenet/_engine.pxd

.PHONY: demo test test-slow fuzz lint bench wasm play docs linkcheck notebooks drawings listen clean
.DELETE_ON_ERROR:

demo: $(VENV)/.built
	$(BIN)/fastwavenet demo -o demo

# Each file runs in one process, because its fixtures take long.
test: lint
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile

test-slow: $(VENV)/.built
	$(BIN)/python -m pytest -m slow

# Random calls of the engine under sanitizers, whose inputs that reach new code are kept in .fuzz/,
# then random sequences of calls in Python: about 20 a second, other ones in each run.
MINUTES ?= 60
fuzz: $(VENV)/.built
	FASTWAVENET_FUZZ_SECONDS=$$((30 * $(MINUTES))) FASTWAVENET_FUZZ_CORPUS=.fuzz \
		$(BIN)/python -m pytest -s --timeout 0 tests/engine/test_fuzz.py
	for run in $$(seq $$((($(MINUTES) + 3) / 4))); do \
		FASTWAVENET_SEQUENCES=2000 $(BIN)/python -m pytest --timeout 0 tests/engine/test_adversary.py \
			--hypothesis-seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ') || exit 1; \
	done

lint: $(VENV)/.built
	$(BIN)/clang-format --dry-run -Werror $(wildcard csrc/*.[ch] csrc/kernels/*.[ch] tests/c/*.[ch])
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint fastwavenet/_engine.pyx fastwavenet/_engine.pxd
	$(BIN)/mypy
	$(BIN)/python tests/helpers/prose.py --limit 2.0

bench: $(VENV)/.built
	$(BIN)/fastwavenet bench

# The engine for browsers and node, one file of WebAssembly; skipped where clang, wasm-ld or the C
# library for it are missing.
WASM := web/build/fastwavenet.wasm
wasm: $(WASM)
$(WASM): web/build.sh web/layout.c $(filter %.c %.h,$(SOURCES))
	sh web/build.sh $@

# The site of course, guides and reference: open build/docs/index.html, or for the voices that play
# in two chapters serve it: python3 -m http.server -d build/docs
docs: $(VENV)/.built $(WASM)
	$(BIN)/sphinx-build -q -W --keep-going -c docs . build/docs

# The play page in build/play: a WaveNet in a browser.
play: $(WASM)
	$(PYTHON) docs/assemble_play.py build/play

# Whether the pages that the site links to on the web are there; links within it make `docs` fail.
linkcheck: $(VENV)/.built
	$(BIN)/sphinx-build -q -b linkcheck -D nb_execution_mode=off -c docs . build/linkcheck

# The course as Jupyter notebooks, which git ignores.
notebooks: $(VENV)/.built
	$(BIN)/python docs/notebooks.py

# docs/layer.svg and docs/dilation.svg
drawings:
	$(PYTHON) docs/drawings.py

# docs/listen.html, of held-out recordings and the bundled clip: RECORDINGS="a.flac b.flac"
listen: $(VENV)/.built
	$(BIN)/python docs/listen.py $(RECORDINGS)

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt pip setuptools Cython
	$(BIN)/pip install -q --no-build-isolation -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q --no-deps -c constraints.txt tinysoundfont  # pyaudio needs a C library
	touch $@

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python setup.py -q build_ext --inplace
	touch $@

clean:
	rm -rf $(VENV) build web/build demo *.egg-info fastwavenet/_engine.c fastwavenet/_engine.*.so
