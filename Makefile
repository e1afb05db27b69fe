# `make` lists the targets. Every target makes what it needs; Python 3.11+ is the only thing expected on the machine.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ROWS   ?= 2000000
ROUNDS ?= 3
BENCHES := exchange forecast jobs lake# what is no pattern, with options of its own: make bench PATTERN=exchange ARGS='--rows 10000000'
SIZE   ?= 300MB

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# One stamp a set of extras: pip runs again only when pyproject.toml changes.
$(VENV)/.stamp-%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(subst +,$(comma),$*)]'
	@touch $@
comma := ,

demo: $(VENV)/.stamp-spark ## a day of clicks as a job: planned, run, killed half-way, resumed (SIZE=300MB)
	@$(BIN)/python examples/clickstream/demo.py --size $(SIZE)

# Java is optional: without it there is no archive, and Spark's tests are skipped.
$(VENV)/spark-classes.jsa: $(VENV)/.stamp-all+test
	@$(BIN)/python tests/jvm.py

# No process takes a dead one's place: xdist 3.8 would wait for ever for tests that it had already seen (its issue 1378).
test: $(VENV)/.stamp-all+test $(VENV)/spark-classes.jsa ## the whole suite; Spark tests run wherever Java 17+ is found
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

lint: $(VENV)/.stamp-all+test+lint ## ruff, mypy --strict, and a docstring on every test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/interrogate -q tests

bench: $(VENV)/.stamp-all+test+bench ## one pattern beside its peers: make bench PATTERN=top_n ROWS=20000000 ROUNDS=3
	@test -n '$(PATTERN)' || { echo 'make bench PATTERN=…, one of:'; (ls bench/patterns | sed -n 's/\.py$$//p' | grep -v __init__; echo $(BENCHES) | tr ' ' '\n'); exit 2; }
	@$(if $(filter $(PATTERN),$(BENCHES)),$(BIN)/python -m bench.$(PATTERN) $(ARGS),$(BIN)/python -m bench $(PATTERN) --rows $(ROWS) --rounds $(ROUNDS) $(ARGS))

soak: $(VENV)/.stamp-all+test ## kills by the dozen, and days larger than memory: some 20 minutes
	@$(BIN)/python -m bench.jobs kills && $(BIN)/python -m bench.jobs kills --engine 'local[2]' --kills 5 --size 1MB \
		&& $(BIN)/python -m bench.jobs size && $(BIN)/python -m bench.jobs overhead

clean: ## remove the virtual environment and everything generated
	rm -rf $(VENV) demo bench/data bench/results .mypy_cache .ruff_cache
