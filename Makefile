# make demo   train agents in front of you and measure them against the dispatching rules (about ten minutes)
# make test   run the tests
# make help   everything else
#
# Needs make and Python 3.11 to 3.14; makes .venv itself. PIP_ARGS is passed on to pip, PYTHON chooses the interpreter.

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
BIN := $(VENV)/bin
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo demo-train demo-evaluate demo-show test test-all lint types format bench docs clean \
	run-test run-lint run-types

# --- the demo: what is trained, and on which instances it has never seen it is measured -------------------------------

DEMO_ENV := makespan/JobShop-v0
DEMO_OUT := runs/demo
DEMO_RULES := spt,lpt,fifo,lifo,mwkr,lwkr,fdd-mwkr,mopnr,lopnr,spt-twkr,lrm,srm,winq,nextfree,cr,random
DEMO_AGENTS := $(DEMO_RULES),best-rule,$(DEMO_OUT)/scorer,$(DEMO_OUT)/graph
# Public instances whose optimum under blocking with swaps is proved.
DEMO_INSTANCES := la01-la10,la16-la20,orb01-orb10
DEMO_TRAINING := random:size=6x6+10x5+10x10

help:
	@echo 'make demo       train two agents on the blocking job shop, then measure them against the dispatching rules'
	@echo 'make test       run the tests (make test-all: the slow ones too)'
	@echo 'make lint       ruff: style and formatting; make format mends it'
	@echo 'make types      basedpyright'
	@echo 'make docs       build the documentation into build/site'
	@echo 'make bench      measure speed, ours and others side by side'
	@echo 'make venv       only make $(VENV), so that you can put a torch of your choice into it first'
	@echo 'make clean      delete $(VENV), runs/demo, results/demo* and caches'
	@echo 'PIP_ARGS="..." is passed on to pip; PYTHON=python3.12 chooses the interpreter'

# --- installation -----------------------------------------------------------------------------------------------------

# A folder that was left half-made has no pyvenv.cfg: make deletes the target of a rule that was cut off.
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
		echo "makespan needs Python 3.11 to 3.14, but '$(PYTHON)' is $$($(PYTHON) -V 2>/dev/null || echo not there)."; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

venv: $(VENV)/pyvenv.cfg

$(VENV)/.installed-demo: $(VENV)/pyvenv.cfg pyproject.toml
	@echo '== installing makespan[all] into $(VENV) (torch is large: this can take minutes)'
	@$(BIN)/python -m pip install --quiet $(PIP_ARGS) -e '.[all]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/pyvenv.cfg pyproject.toml
	@echo '== installing makespan[all,dev] into $(VENV) (torch is large: this can take minutes)'
	@$(BIN)/python -m pip install --quiet $(PIP_ARGS) -e '.[all,dev]'
	@touch $@ $(VENV)/.installed-demo

# --- demo -------------------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed-demo
	@$(MAKE) --no-print-directory demo-train demo-evaluate demo-show

demo-train: $(VENV)/.installed-demo
	@echo '== training from scratch, six minutes at most; what is in $(DEMO_OUT) already is continued'
	@echo '== first a scorer, by evolution strategies'
	$(BIN)/makespan train $(DEMO_ENV) --agent scorer --preset quick --minutes 3 --seed 0 \
		--instances $(DEMO_TRAINING) --out $(DEMO_OUT)/scorer
	@echo '== then a graph network that sees where each move leads if the scorer or a rule goes on, by PPO'
	$(BIN)/makespan train $(DEMO_ENV) --agent graph-ppo --preset quick --minutes 3 --seed 0 \
		--instances $(DEMO_TRAINING) --foresight $(DEMO_OUT)/scorer+nextfree+lrm --foresight-worlds 0 \
		--entropy 0.001 --gae-lambda 0.9 --out $(DEMO_OUT)/graph

demo-evaluate: $(VENV)/.installed-demo
	@echo '== measuring it on instances it has never seen: without breakdowns, then with them (p = 0.005)'
	$(BIN)/makespan evaluate $(DEMO_ENV) --agents $(DEMO_AGENTS) --instances $(DEMO_INSTANCES) --seeds 0 \
		--out results/demo --overwrite
	$(BIN)/makespan evaluate $(DEMO_ENV):law=bernoulli:p=0.005 --agents $(DEMO_AGENTS) \
		--instances $(DEMO_INSTANCES) --seeds 0-1 --out results/demo-breakdowns --overwrite

demo-show: $(VENV)/.installed-demo
	@echo '== drawing a schedule of the trained agent'
	$(BIN)/makespan show results/demo --agent $(DEMO_OUT)/graph --out results/demo/gantt.png
	@echo 'The Gantt chart is results/demo/gantt.png; tables and pictures are in results/demo and results/demo-breakdowns.'

# --- checks -----------------------------------------------------------------------------------------------------------

test: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory run-test

test-all: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory run-test TEST_ARGS='-m "slow or not slow"'

lint: $(VENV)/.installed-test
	@$(MAKE) --no-print-directory run-lint

types: $(VENV)/.installed-test
	@mkdir -p .venv/tree && ln -sfn "$(CURDIR)" .venv/tree/makespan
	@$(MAKE) --no-print-directory run-types

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-test
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/site
	@echo 'Open build/site/index.html.'

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/speed.py

# The run-... targets use $(VENV) as it is: .ci/run calls them with the wheel installed.
TEST_ARGS ?=
# One file at a time in each process: what its tests share is made once.
TEST_PROCESSES ?= auto
run-test:
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --cov --cov-report=term $(TEST_ARGS)

run-lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

run-types:
	$(BIN)/basedpyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) $(DEMO_OUT) results/demo results/demo-breakdowns build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
