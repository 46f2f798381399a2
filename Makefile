# Everything a developer runs. The first target that needs it sets up .venv; nothing else is needed
# than Python 3.11 or newer and make.

PYTHON  ?= python3
PYTHONS ?= 3.11 3.12 3.13
ARGS    ?=
JOBS    ?= 2

# The default Python's environment is .venv; that of another version, such as 3.12, is .venv-3.12.
version  = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(PYTHON),python3)
VENV    ?= .venv
else
VENV    ?= .venv$(if $(filter $(call version,python3),$(call version,$(PYTHON))),,-$(call version,$(PYTHON)))
endif
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: bench bench-cluster bench-quick help venv demo editor picture test test-all check fix coverage soak mutants upgrade clean where

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20
	@echo
	@echo '  make PYTHON=python3.12 test    with another Python'
	@echo '  make test ARGS="-k join -x"    with arguments for pytest'
	@echo '  make test JOBS=0               in one process, for a debugger'

venv: $(READY) ## set up the virtual environment, if that is not done yet

# Again whenever what is installed changes; the code itself is installed in place.
$(READY): setup.cfg pyproject.toml constraints.txt
	@.ci/venv $(VENV) $(PYTHON)
	@touch $@

demo: $(READY) ## run a small graph and see its report
	$(BIN)/plumber run demos/stdlib_imports/graph.yaml

# Builds what `plumber serve` shows. Without Node (status 3) the other targets go on.
editor: ## build the browser editor, if a source is newer
	@.ci/editor build

picture: $(READY) editor ## draw the pictures of the editor in wiki/images anew
	PIPELINES_PICTURES=wiki/images $(BIN)/python -m pytest -q tests/editor -k picture

# Bytecode is kept also where the environment says otherwise, as containers often do: the tests start
# a thousand programs, each of which would compile the package anew.
test: $(READY) ## run all tests
	@.ci/services
	@.ci/editor build || test $$? = 3
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-all: ## run all tests on each supported Python that is found
	@failed=; for version in $(PYTHONS); do \
	    if python=$$(.ci/python $$version); then \
	        echo "Python $$version: $$python"; \
	        $(MAKE) --no-print-directory test PYTHON=$$python || failed="$$failed $$version"; \
	    else \
	        missing="$$missing $$version"; \
	    fi; \
	done; \
	test -z "$$missing" || echo "not found, left out:$$missing"; \
	test -z "$$failed" || { echo "failed on:$$failed"; exit 1; }

check: $(READY) ## check format, lint, types, layers and public names
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_public_names.py
	@.ci/editor check || test $$? = 3

fix: $(READY) ## format, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(READY) ## run all tests and list the lines that none of them ran
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

soak: $(READY) ## run random graphs for MINUTES=10, or again the round of one SEED=
	$(BIN)/python tests/soak.py --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

mutants: $(READY) ## break the engine on purpose, and see that the tests notice
	$(BIN)/python tests/mutation_check.py

# The peers get an environment of their own, .venv-bench.
bench: $(READY) ## measure side by side with the peers, write benchmarks/RESULTS.md; a quarter hour
	$(BIN)/python -m benchmarks $(or $(ARGS),--write)

bench-quick: $(READY) ## the same in two minutes: fewer items and rounds, no peers, nothing written
	$(BIN)/python -m benchmarks --quick $(ARGS)

bench-cluster: $(READY) ## measure what Ray costs, write benchmarks/CLUSTER.md; five minutes
	$(BIN)/python -m benchmarks.cluster $(or $(ARGS),--write)

upgrade: ## pin the newest versions of all tools in constraints.txt
	$(PYTHON) -m venv --clear .venv-upgrade
	.venv-upgrade/bin/pip install -qq --upgrade setuptools --editable '.[dev]'
	head -2 constraints.txt > .venv-upgrade/pins
	.venv-upgrade/bin/pip freeze --all --exclude-editable --exclude pip >> .venv-upgrade/pins
	mv .venv-upgrade/pins constraints.txt
	rm -r .venv-upgrade

clean: ## remove all that was made, the virtual environments too
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf editor/node_modules pipelines/server/static
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

where:
	@echo $(VENV)
