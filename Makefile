# INSIGHTERA: `make build`, then `make test`. Both create .venv from the lock on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/core.lock
SPARK_LOCK := requirements/spark.lock
STAMP := $(VENV)/.installed
SPARK_STAMP := $(VENV)/.installed-spark
SUPERSET := .venv-superset
SUPERSET_PYTHON ?= $(PYTHON)
SUPERSET_STAMP := $(SUPERSET)/.installed
PORT ?= 8088

export DBT_PROFILES_DIR := profiles

.PHONY: help install install-spark build build-spark dashboards dashboards-pictures test test-fast lint lint-rest lint-sql ci docs bench-oulad bench-builds bench-scale bench-pit bench-scoring bench-engines bench-cluster bench-drift bench-dashboards bench-insights lock clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/; s/\$$\$$/$$/g' | expand -t 22

install: $(STAMP)  ## the environment, from the lock

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or later is needed; this is $$($(PYTHON) --version). Try make PYTHON=python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

install-spark: $(SPARK_STAMP)  ## what the `spark` target adds to it (Java 17 is the system's: insightera doctor)

$(SPARK_STAMP): $(STAMP) $(SPARK_LOCK) dbt_adapter/pyproject.toml
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement $(SPARK_LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable dbt_adapter
	@touch $@

# 1: something failed (2: nothing was built). The others are brought up to date, and it stays a failure.
CATCH_UP = { code=$$?; [ $$code -ne 1 ] || $(BIN)/insightera catch-up; exit $$code; }

build: $(STAMP)  ## dbt build over the demo university, or $$INSIGHTERA_RAW; then where to look
	$(BIN)/dbt build || $(CATCH_UP)
	@$(BIN)/insightera where

build-spark: $(SPARK_STAMP)  ## the same build on Spark, every table in Iceberg (docs/spark.md)
	$(BIN)/dbt build --target spark || $(CATCH_UP)
	@$(BIN)/insightera where --target spark

test: $(STAMP) lint  ## every check and every test
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

test-fast: $(STAMP)  ## the tests that drive no dbt build
	$(BIN)/pytest -m "not slow"

# SQL is compiled against an empty home: what was built here neither changes what lint says nor waits for it.
lint-rest lint-sql: export INSIGHTERA_HOME := target/lint
lint-rest lint-sql: export INSIGHTERA_RAW :=
lint-rest lint-sql: export DBT_TARGET_PATH := target/lint
lint: $(STAMP)  ## ruff, mypy, sqlfluff, yamllint, and whether what is generated is up to date
	@$(MAKE) --no-print-directory --jobs 2 lint-sql lint-rest

lint-rest: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/insightera use-cases sync --check

lint-sql: $(STAMP)
	$(BIN)/sqlfluff lint --processes 2 models tests/singular analyses

dashboards: $(STAMP) $(SUPERSET_STAMP)  ## install, import and serve the dashboards on 127.0.0.1:8088 (PORT=…)
	$(BIN)/insightera dashboards serve --port $(PORT)

dashboards-pictures: $(SUPERSET_STAMP)  ## docs/img/ from the dashboards that `make dashboards` serves; needs Chromium
	$(SUPERSET)/bin/python superset/look.py --url http://127.0.0.1:$(PORT) --user demo --pictures docs/img \
		--password "$$(cat $${INSIGHTERA_HOME:-var}/superset/demo_password)" \
		dropout-risk=12 academic-overview=11 model-health=10 > /dev/null

$(SUPERSET_STAMP): requirements/superset.lock
	@$(SUPERSET_PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "Superset needs Python 3.10, 3.11 or 3.12; this is $$($(SUPERSET_PYTHON) --version 2>&1)." \
		"Name one that fits: make dashboards SUPERSET_PYTHON=python3.11"; exit 2; }
	@echo "Installing Superset into $(SUPERSET) (a minute or two, once) …"
	test -x $(SUPERSET)/bin/python || $(SUPERSET_PYTHON) -m venv $(SUPERSET)
	$(SUPERSET)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(SUPERSET)/bin/uv pip sync --quiet --compile-bytecode --python $(SUPERSET)/bin/python $<
	@touch $@

ci: $(STAMP)  ## the checks of a pull request: CONTRIBUTING.md
	.ci/pull-request

docs: $(STAMP)  ## the documentation as static pages, in target/docs-site/: lineage, glossary, model cards
	$(BIN)/dbt docs generate --static
	$(BIN)/insightera docs

bench-oulad: $(STAMP)  ## dropout model on OULAD against a plain baseline; needs OULAD=<folder of the seven tables>
	$(BIN)/python -m benchmarks.oulad

bench-builds: $(STAMP)  ## whole builds of OULAD: from nothing, and the day after; needs OULAD=<folder>
	$(BIN)/python -m benchmarks.builds

bench-scale: $(STAMP)  ## an invented university of STUDENTS (20000): from nothing, and the day after
	$(BIN)/python -m benchmarks.scale --students $(or $(STUDENTS),20000)

bench-pit: $(STAMP)  ## point-in-time join against Polars, pandas and (where it installs) Feast
	$(BIN)/python benchmarks/pit.py --feast

bench-scoring: $(STAMP)  ## incremental against full scoring
	$(BIN)/python benchmarks/scoring.py

bench-engines: $(SPARK_STAMP)  ## first builds on DuckDB and on Spark, side by side; with OULAD=<folder>, of that too
	$(BIN)/python -m benchmarks.engines

bench-cluster: $(SPARK_STAMP)  ## a build on a Spark cluster of two workers on this machine: who did what
	$(BIN)/python -m benchmarks.cluster

bench-drift: $(STAMP)  ## PSI and KS of twenty features against Evidently, in an environment beside
	$(BIN)/python -m benchmarks.drift

bench-dashboards: $(STAMP) $(SUPERSET_STAMP)  ## 50 clients at once asking what charts ask, while builds publish
	$(BIN)/python -m benchmarks.dashboards

bench-insights: $(STAMP)  ## every use case beside its baselines, on the demo and on real data; DATA=<folder>
	$(BIN)/python -m benchmarks.insights

lock: $(STAMP)  ## resolve requirements/*.in anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --fork-strategy requires-python \
		requirements/core.in --output-file $(LOCK)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --fork-strategy requires-python \
		requirements/spark.in --constraint $(LOCK) --output-file $(SPARK_LOCK)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 \
		requirements/superset.in --output-file requirements/superset.lock

clean:  ## forget what was built (not the environment)
	rm -rf var target logs
