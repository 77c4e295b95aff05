# Everything here works on a fresh machine with Python 3.11+ and make: the first target that needs the
# virtual environment makes it.
PYTHON ?= python3
CORPUS ?= ../shared
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo picture test lint types contracts check score bench clean

demo: $(READY)
	@$(BIN)/meshdoctor demo --first

test: $(READY)
	$(BIN)/python -m pytest -n auto $(T)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

check: lint types contracts test

# Right answers on a folder of corpora (the layout of tests/acceptance); V=1 prints the misses.
score: $(READY)
	@$(BIN)/python -m tests.acceptance.score $(CORPUS) $(if $(V),--verbose)

bench: $(READY)
	$(BIN)/python -m benchmarks

# The picture of the README, drawn by the application itself from an incident that ships.
picture: $(READY)
	$(BIN)/python -m meshdoctor.tui.picture fixtures/pine.tar.xz docs/guide.svg --from shop/web --to cart.shop.svc.cluster.local:80/items

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
