# make            lists the targets
# make report     the quick study: environment, three strategies, the report
# PYTHON=python3.12 make ...   another python for the environment

PYTHON ?= python3
VENV   ?= .venv
STUDY  ?= quick
STRATEGIES ?= none random adversarial
GRID   ?= params/sweeps/mining-small.yaml
MINUTES ?= 30
PY     := $(VENV)/bin/python
READY  := $(VENV)/.anm-ready

.DEFAULT_GOAL := help
.PHONY: benchmark gpu docs help setup report test sweep lab preflight wheel clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' \
	| awk -F'\t' '{printf "make %-11s %s\n", $$1, $$2}'

setup: $(READY) ## the environment in .venv, exactly the tested versions

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "anm needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1)." \
	        "Give another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { \
	    echo "no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

report: $(READY) ## the quick study and its report; finished runs are kept; STUDY=cpu: only the report of its notebooks
ifeq ($(STUDY),quick)
	@$(PY) -m anm.study run --study quick --strategy $(STRATEGIES); \
	ran=$$?; [ $$ran != 75 ] || { echo "interrupted; make report resumes from here" >&2; exit 75; }; \
	$(PY) -m anm.study report --study quick --strategy $(STRATEGIES) && exit $$ran
else
	@$(PY) -m anm.study report --study $(STUDY) --strategy $(STRATEGIES)
endif

test: $(READY) ## all checks: tests, lint, format, the layers of packages
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

sweep: $(READY) ## the unfinished runs of a sweep, and its report: make sweep GRID=params/sweeps/mining-small.yaml
	@$(PY) -m anm.study run --grid $(GRID); \
	ran=$$?; [ $$ran != 75 ] || { echo "interrupted; the same command resumes from here" >&2; exit 75; }; \
	$(PY) -m anm.study report --grid $(GRID) && exit $$ran

benchmark: $(READY) ## a training step against the matrix products it needs: reports/benchmark/
	@$(PY) -m anm.benchmark

gpu: $(READY) ## on one GPU: tests, times, pilot, regimes and the full study; MINUTES=30; without a GPU, a tiny scale
	@$(PY) -m anm.benchmark.gpu --minutes $(MINUTES)

docs: $(READY) ## every public name, from the docstrings: docs/api/index.html
	@$(PY) -m pdoc --template-directory docs/style --footer-text "anm" -o docs/api anm
	@echo docs/api/index.html

lab: $(READY) ## the notebooks in JupyterLab
	@$(PY) -m jupyter lab notebooks

preflight: $(READY) ## check whether this machine can run the study; says what is missing and how to get it
	@$(PY) -m anm.study preflight --study $(STUDY) --strategy $(STRATEGIES)

wheel: $(READY) ## a wheel that holds all that a study needs: dist/
	@rm -rf build && $(PY) -m pip wheel --quiet --no-deps --no-build-isolation -w dist . && rm -rf build && ls dist

clean: ## remove the environment and caches; never a report or a checkpoint
	@rm -rf $(VENV) docs/api build *.egg-info .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@for kept in reports checkpoints; do \
	    if [ -d $$kept ]; then echo "kept: $$kept/ (delete it by hand if you no longer need it)"; fi; done
