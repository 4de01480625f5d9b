# make demo — two pull requests for a real model, reviewed on this machine; with ARGS=--deploy on to production, where Docker is
# make test — the whole test suite        make check — style, types, layers, generated files
# Each does all its own set-up. Needs git, make and Python >= 3.10; `make demo PYTHON=python3.12` picks another one.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# `loadfile` keeps a file's fixtures (a server, a repository) in one worker; in the order of their names, the files that take longest
# (engine, programs, scenario) come first, so that no worker waits for another at the end.
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
ARGS   ?=

# A stamp is named by the lock's checksum: an unchanged lock costs nothing, a changed one is installed before anything runs.
stamp = $(VENV)/.$(1)-$(shell cat requirements/$(1).txt 2>/dev/null | cksum | tr ' ' -)
DEMO := $(call stamp,demo)
DEV  := $(call stamp,dev)
PUBLISH := $(call stamp,publish)

.PHONY: demo test check generate bench lock clean

demo: $(if $(wildcard $(DEV)),,$(DEMO) $(if $(findstring --deploy,$(ARGS)),$(PUBLISH)))
	@$(BIN)/python -m mlops_toolkit demo $(ARGS)

test: $(DEV)
	@$(BIN)/python -m pytest $(PYTEST_ARGS) $(ARGS); status=$$?; \
	[ -z "$$MLOPS_TEST_STATUS" ] || echo $$status > "$$MLOPS_TEST_STATUS"; exit $$status

check: $(DEV)
	@$(BIN)/python -m tests.check

generate: $(DEV)
	@$(BIN)/python -m mlops_toolkit.config.emit --write
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

bench: $(DEV)
	@for bench in benchmarks/bench_*.py; do echo "# $$bench"; $(BIN)/python "$$bench" || exit 1; done

# All locks agree: the small ones are constrained by the large one.
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header --no-annotate
lock: $(BIN)/uv
	@$(COMPILE) $(ARGS) --extra cli --extra demo --extra serve --extra publish --extra grpc --extra telemetry --extra dev pyproject.toml -o requirements/dev.txt
	@$(COMPILE) --extra cli --extra demo pyproject.toml -c requirements/dev.txt -o requirements/demo.txt
	@$(COMPILE) --extra cli pyproject.toml -c requirements/dev.txt -o requirements/cli.txt
	@$(COMPILE) --extra serve pyproject.toml -c requirements/dev.txt -o mlops_toolkit/image/serve.txt
	@$(COMPILE) --extra cli --extra publish pyproject.toml -c requirements/dev.txt -o requirements/publish.txt

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.%: $(BIN)/uv
	@lock=requirements/$(firstword $(subst -, ,$*)).txt; echo "installing $$lock" >&2; \
	UV_LINK_MODE=$${UV_LINK_MODE:-copy} $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r "$$lock" \
	    || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r "$$lock"
	@echo '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mlops_toolkit.pth"
	@printf '#!/bin/sh\nexec "%s" -m mlops_toolkit "$$@"\n' '$(CURDIR)/$(BIN)/python' > $(BIN)/mlops && chmod +x $(BIN)/mlops
	@rm -f $(VENV)/.$(firstword $(subst -, ,$*))-* && touch $@

$(BIN)/uv: $(BIN)/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt

$(BIN)/python:
	@command -v git >/dev/null || { echo "git is not installed" >&2; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed: Python 3.10 or newer is needed (make PYTHON=/path/to/python3)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "$$($(PYTHON) --version) is too old: Python 3.10 or newer is needed (make PYTHON=/path/to/python3)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
