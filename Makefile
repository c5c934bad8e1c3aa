# make run: the main job. make test: the tests. Each sets up .venv by itself; only Python 3.11 or newer and make are needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
LAUNCH := MLFLOW_DISABLE_TELEMETRY=true

.PHONY: run test test-slow setup check format bench bench-speed bench-symbolic ui leaderboard render clean

run: setup  ## benchmark `quick` on embedded data, then the ranking and where to look
	$(LAUNCH) $(BIN)/kanzoo bench quick

test: setup  ## the fast tests, on all cores
	$(BIN)/pytest -n auto -m "not slow and not browser" -q

test-slow: setup  ## the rest of the tests; those marked `browser` need Chromium
	$(BIN)/pytest -n auto -m "slow or browser" -q

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("kanzoo needs Python >= 3.11, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)

check: setup  ## lint, format, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: run

BENCHMARK ?= quick
leaderboard: setup  ## keep the raw rows of a recorded benchmark, then render: make leaderboard BENCHMARK=graph
	$(BIN)/kanzoo leaderboard --experiment $(BENCHMARK) --out runs/leaderboard
	cp runs/leaderboard/results.csv leaderboard/results/$(BENCHMARK).csv
	$(MAKE) render

bench-speed: setup  ## time bases, MLPs and peers against the bare matrix products, training, first calls, half precision: over an hour; then docs/speed.md
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.first_call
	$(BIN)/python -m benchmarks.precision
	$(BIN)/python -m benchmarks.report

bench-symbolic: setup  ## which formulas are found, with pykan beside it (extra `peers`): over an hour; then docs/symbolic.md
	$(LAUNCH) $(BIN)/kanzoo bench symbolic
	$(BIN)/python -m benchmarks.symbolic_page --collect

render: setup  ## all pages that are made from leaderboard/results/*.csv
	$(BIN)/kanzoo leaderboard $(addprefix --results ,$(wildcard leaderboard/results/*.csv)) --out leaderboard --excerpt README.md
	$(BIN)/python -m benchmarks.which_basis
	$(BIN)/python -m benchmarks.mnist_published

ui: setup  ## MLflow on loopback
	$(BIN)/kanzoo ui

clean:
	rm -rf .venv runs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
