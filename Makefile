# Commands for contributors. `make help` lists them.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
PLUGIN_PYTHON ?= $(BIN)/python
PLUGIN_PACKAGE := operator/backupjobwatch/kubectl
# The release and its krew manifest require this name.
PLUGIN_ARCHIVE = kubectl-bjw_v$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)_linux_$(subst aarch64,arm64,$(subst x86_64,amd64,$(shell uname -m))).tar.gz
UV := UV_PROJECT_ENVIRONMENT=$(VENV) build/uv/bin/uv
# Tests start hundreds of processes. Without this cache, each would compile its imports for two seconds.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/bytecode
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup control-plane check prose site api-reference audit format test test-end-to-end test-in-process soak bench bench-reads demo dashboard pictures sbom charts chart-docs image image-test plugin plugin-test clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: $(VENV)/.synced  ## Create the virtual environment from the lock file

$(VENV)/.synced: uv.lock pyproject.toml Makefile
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@build/uv/bin/uv --version 2>/dev/null | grep -qF $(UV_VERSION) || { $(PYTHON) -m venv build/uv && build/uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION); }
	@$(UV) sync --quiet --frozen $(if $(shell command -v kubectl),,--group kubectl)
	@touch $@

control-plane: setup  ## Build the embedded Kubernetes API server (once; a few minutes)
	$(BIN)/python -m demo.controlplane --build-only

check: setup  ## Lint, types, layers, format, prose, documentation site: under two minutes
	$(BIN)/ruff check --output-format concise
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/yamllint --strict .
	$(BIN)/shellcheck .ci/run .github/kind .github/krew .github/package .github/charts tests/image/enter.sh
	$(BIN)/actionlint -color=false -shellcheck=$(BIN)/shellcheck
	$(BIN)/zizmor --offline --quiet --no-progress .github
	@! git grep -nE '(TO''DO|FIX''ME|XX''X)' -- ':!*.lock' || { echo 'finish it, or file an issue'; exit 1; }
	@$(MAKE) --no-print-directory prose site audit

prose: setup  ## Check spelling, and phrases and sentences by tests/documents/style.toml (FILES="a b" checks only these)
	$(BIN)/typos $(FILES)
	$(BIN)/python -m tests.documents.style $(FILES)

site: setup  ## Build the documentation site in build/site-source/site; a broken link or an outdated docs/api.md fails
	$(BIN)/python -m tests.documents.api --check
	$(BIN)/python -m tests.documents.site

api-reference: setup  ## Generate docs/api.md from the CRD
	$(BIN)/python -m tests.documents.api

audit: setup  ## Check the dependencies for known vulnerabilities (AUDIT=strict also fails if OSV does not answer)
	@mkdir -p build
	@$(UV) export --quiet --frozen --no-emit-project --no-header --output-file build/requirements.txt
	$(BIN)/python -m tests.supply_chain.audit $(if $(filter strict,$(AUDIT)),--strict) build/requirements.txt

format: setup  ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

test: setup  ## Run all tests, including those against a real API server (E2E=skip skips these; ARGS are arguments for pytest)
	@rm -rf .coverage .coverage.* build/bytecode/tmp/pytest-of-*
ifdef ARGS
	$(BIN)/coverage run -m pytest $(ARGS)
else
	@echo 'Two groups of tests run at the same time. The output of each is shown when it ends.'
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target test-end-to-end test-in-process
endif
	@$(BIN)/coverage combine --quiet
	@echo; echo 'Coverage of domain/ (at least 100 %):'
	@$(BIN)/coverage report --include='*/domain/*' --fail-under=100
	@echo; echo 'Coverage of the package (at least 95 %):'
	@$(BIN)/coverage report --fail-under=95

# Tests spend most of their time waiting, so several processes per core are faster. These tests measure the coverage of
# commands only, because the other tests cover the operator.
test-end-to-end: setup  ## Run the tests against real API servers, in 3 processes with one server each
	MEASURE_COMMANDS=yes $(BIN)/python -m pytest --numprocesses=$(or $(WORKERS),3) --dist=loadfile --no-loadscope-reorder tests/e2e

test-in-process: setup build/collection.log  ## Run all other tests, in 8 processes (WORKERS=N changes the number, WORKERS=0 runs them in one)
	$(BIN)/coverage run -m pytest --numprocesses=$(or $(WORKERS),8) --ignore=tests/e2e

# pytest compiles each test module here once, not in every process.
build/collection.log: $(shell find tests -name '*.py') | setup
	@mkdir -p build
	@$(BIN)/python -m pytest --collect-only -qq --ignore=tests/e2e >$@ || { cat $@; rm $@; exit 1; }

soak: TESTS ?= tests/functional/test_fuzz_answers.py tests/functional/controller/test_fuzz_objects.py tests/functional/controller/test_leaks.py tests/e2e/test_kills.py tests/e2e/test_on_demand.py tests/property/test_answers.py tests/property/test_backup_requests.py tests/property/test_completed_within.py tests/property/test_histories.py tests/property/test_notifying.py tests/property/test_polled_watches.py tests/property/test_polling.py tests/property/test_sanitize.py tests/property/test_several_jobs.py tests/property/test_values.py
soak: setup  ## Run the long tests: 100 kills, a month of ticks, thousands of invalid responses, objects and examples (one hour; TESTS=FILE runs one)
	SOAK=yes $(BIN)/python -m pytest -s $(TESTS)

bench: setup  ## Measure CPU, memory and delays, next to kopf alone and a plain operator (40 minutes; ARGS are those of tests.bench)
	$(UV) sync --quiet --frozen --inexact --group bench
	$(BIN)/python -m tests.bench $(ARGS)

bench-reads: setup  ## Count the requests to Azure for many watches (15 minutes)
	$(BIN)/python -m tests.bench.reads

demo: setup  ## Run the demo: API server, Azure simulator, operator, six watches (KEEP=1 keeps it running)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

dashboard: setup  ## Draw docs/dashboard.svg from a run of a few minutes with a real Prometheus
	$(BIN)/python -m demo.dashboard

pictures: setup  ## Draw docs/pictures, each from a real run in a terminal
	$(BIN)/python -m demo.pictures

sbom: setup  ## List the components of the image (CycloneDX) and their licences in build/sbom
	@mkdir -p build/sbom
	@UV_PYTHON=$(abspath $(BIN)/python) UV_PROJECT_ENVIRONMENT=build/runtime build/uv/bin/uv sync --quiet --frozen --no-default-groups --no-editable
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --validate --output-file build/sbom/backupjobwatch.cdx.json build/runtime/bin/python
	$(BIN)/pip-licenses --python build/runtime/bin/python --format markdown --with-urls --output-file build/sbom/licences.md

charts:  ## Package both Helm charts in build/charts, with helm
	.github/charts . build/charts

chart-docs: setup  ## Write the charts' READMEs, the comments of their values, and the tables in docs/install.md
	$(BIN)/python -m tests.support.chart_reference

image:  ## Build the container image
	docker build -t backupjobwatch:dev .

image-test: setup  ## Build the image with buildah and run it against an API server (as root; a few minutes)
	$(BIN)/python -m pytest tests/image $(ARGS)

plugin: setup  ## Build kubectl-bjw as one file with its own Python, in build/plugin (PLUGIN_PYTHON is that Python)
	UV_PROJECT_ENVIRONMENT=build/plugin/environment build/uv/bin/uv sync --quiet --frozen --no-default-groups --group plugin --no-editable --reinstall-package backupjobwatch --python $(PLUGIN_PYTHON)
	build/plugin/environment/bin/pyinstaller --log-level ERROR --noconfirm --onefile --strip --name kubectl-bjw --recursive-copy-metadata backupjobwatch --distpath build/plugin --workpath build/plugin/work --specpath build/plugin $(PLUGIN_PACKAGE)/__main__.py
	tar -C build/plugin --owner=0 --group=0 --mtime=@0 -czf build/plugin/$(PLUGIN_ARCHIVE) kubectl-bjw -C $(CURDIR) LICENSE

plugin-test: setup  ## Run the output of `make plugin` in a root directory without Python (as root)
	$(BIN)/python -m pytest tests/plugin $(ARGS)

clean:  ## Remove all build output except the cache of the control plane
	rm -rf $(VENV) build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
