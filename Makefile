# make demo | test | test-all | browser | check | docs: all that CI runs, with nothing but Python 3.11+, make and pip (uv if present).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: demo test test-all browser screenshots check docs torch frameworks fresh lowest notes clean

$(STAMP): pyproject.toml
	@if command -v uv >/dev/null 2>&1; then uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --editable '.[all]' --group dev; \
	else $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" && \
	  $(BIN)/python -m pip install --quiet --editable '.[all]' --group dev; fi
	@touch $@

demo: $(STAMP)  ## builds, searches and scores the bundled offline world
	$(BIN)/lagotto demo --folder lagotto-demo

test: $(STAMP)  ## the tests of every room, within four minutes on two cores; tests marked real skip without the shared assets
	LAGOTTO_FUZZ_EXAMPLES=10 $(BIN)/python -m pytest -n auto --dist loadgroup -q -m "not thorough" --hypothesis-profile=few --jaxtyping-packages=

test-all: $(STAMP)  ## every test, with all examples, and with the shapes of arrays checked at each call
	$(BIN)/python -m pytest -n auto --dist loadgroup -q

BROWSER_STAMP := $(VENV)/.installed-browser

$(BROWSER_STAMP): $(STAMP)
	@command -v chromium >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1 || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-inter; } >/dev/null || \
	  echo "chromium cannot be installed here: the tests of the page will be skipped" >&2
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python --group browser; \
	else $(BIN)/python -m pip install --quiet --group browser; fi
	@touch $@

browser: $(BROWSER_STAMP)  ## the page in chromium, which root gets from apt-get; the tests skip where there is none
	$(BIN)/python -m pytest -q tests/web/browser

screenshots: $(BROWSER_STAMP)  ## takes the pictures of the page in docs/images anew
	$(BIN)/python scripts/make_screenshots.py

check: $(STAMP)  ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file benchmarks/mypy.ini
	$(BIN)/lint-imports

torch: $(STAMP)  ## adds torch (CPU) and transformers to the environment: their tests run then, and skip without
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install --quiet 'torch==2.13.0' 'transformers>=4.50'

frameworks: torch  ## adds timm, open_clip, diffusers and torchvision (60 MB), and tests their adapters, which other tests skip
	$(BIN)/python -m pip install --quiet --no-deps 'torchvision==0.28.0' 'timm>=1.0' 'open-clip-torch>=2.26' 'diffusers>=0.30' ftfy wcwidth regex importlib_metadata zipp
	$(BIN)/python scripts/use_torchvision_without_cuda.py
	$(BIN)/python -m pytest -q tests/models/adapters/test_timm.py tests/models/adapters/test_timm_families.py \
	  tests/encoders/test_open_clip.py tests/encoders/test_hub_encoders.py tests/hub/curation/test_generated.py

fresh: $(STAMP)  ## builds wheel and sdist, installs them into new environments of each Python from 3.11 to 3.13 that is here, and runs `lagotto doctor`
	LAGOTTO_FRESH=1 $(BIN)/python -m pytest -q -m fresh tests/packaging

LOWEST := $(VENV)-lowest
LOWEST_TESTS ?= tests/core tests/encoders tests/cli tests/test_public_api.py

lowest: $(STAMP)  ## tests the lowest versions that pyproject.toml allows, in an environment of their own
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	command -v uv >/dev/null 2>&1 || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	PATH="$$PATH:$(BIN)"; uv venv --quiet --allow-existing --python 3.11 $(LOWEST) && \
	  uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[all,mlflow]' --group dev
	$(LOWEST)/bin/lagotto doctor --quiet
	$(LOWEST)/bin/python -m pytest -q -o addopts=--import-mode=importlib -o filterwarnings=default $(LOWEST_TESTS)

notes: $(STAMP)  ## the top section of the changelog as release notes, on stdout
	@$(BIN)/python scripts/release_notes.py

$(DOCS_STAMP): $(STAMP)
	@if command -v uv >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python --group docs; \
	else $(BIN)/python -m pip install --quiet --group docs; fi
	@touch $@

docs: $(DOCS_STAMP)  ## regenerates the reference pages and result tables, and builds the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python scripts/make_docs.py --site

clean:
	rm -rf $(VENV) $(VENV)-lowest lagotto-demo build dist site
