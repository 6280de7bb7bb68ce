# Needs Python ≥ 3.11 and make; everything else goes into .venv.
PYTHON ?= python3
UV     := .venv/bin/uv
RUN    := .venv/bin/
READY  := .venv/.synced
# One more than cores: many tests wait for timers and processes.
MORE    = $$($(PYTHON) -c 'import os; print(min(5, (os.cpu_count() or 1) + 1))')
MANY   := -n auto --maxprocesses 4 --timeout 7200

FOR  ?= 120
SEED ?= 7

.DEFAULT_GOAL := help
.PHONY: help sandbox demo test prove bench crash soak check format lock

help:  ## show this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("Hilo needs Python 3.11 or newer, this is "+sys.version.split()[0]+": set PYTHON=") if sys.version_info < (3, 11) else 0'
	@echo "Preparing .venv (once)…"
	@$(PYTHON) -m venv .venv
	@$(RUN)python -m pip install --quiet --disable-pip-version-check uv

# The stamp is written last: an interrupted sync runs again. Compiled once, or where nothing may write bytecode every
# process compiles everything again: 1.4 s of each start.
$(READY): pyproject.toml uv.lock | $(UV)
	@$(UV) sync --locked --extra sandbox --compile-bytecode --quiet
	@touch $(READY)

sandbox: $(READY)  ## Kafka, MongoDB, simulators and the four services on this machine
	@$(RUN)hilo sandbox $(ARGS)

demo: $(READY)  ## the product's story, seen from outside
	@$(RUN)hilo demo $(ARGS)

test: $(READY)  ## every test, on as many cores as there are
	@$(RUN)pytest -n $(MORE) --dist loadfile --no-loadscope-reorder $(ARGS)

prove: $(READY)  ## property tests with the large counts
	@HILO_WORLDS=10000 HILO_TAKE_OVERS=100000 $(RUN)pytest tests/properties --ignore tests/properties/sender $(MANY) $(ARGS)
	@HILO_WORLDS=20000 $(RUN)pytest tests/properties/sender $(MANY) $(ARGS)
	@HILO_FORMS=100000 $(RUN)pytest tests/unit/ingress/test_fuzz.py --timeout 3600 $(ARGS)

bench: $(READY)  ## benchmarks, both arms in one run; BENCH=name for one
	@$(RUN)python -m tests.bench $(BENCH)

crash: $(READY)  ## kill everything for a while and print the account; FOR=seconds SEED=number
	@$(RUN)python -m tests.crash --for $(FOR) --seed $(SEED) $(ARGS)

soak: $(READY)  ## a steady load for an hour: does anything grow? FOR=seconds RATE=messages a second
	@$(RUN)python -m tests.soak --for $(if $(filter file,$(origin FOR)),3600,$(FOR)) $(if $(RATE),--rate $(RATE)) $(ARGS)

check: $(READY)  ## format, lint, types
	@$(RUN)ruff format --check .
	@$(RUN)ruff check .
	@$(RUN)mypy

format: $(READY)
	@$(RUN)ruff format .
	@$(RUN)ruff check --fix .

lock: | $(UV)  ## resolve again and write uv.lock
	@$(UV) lock
