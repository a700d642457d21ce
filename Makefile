# make demo     train and score a recogniser of spoken digits (no corpus needed)
# make test     the tests; make lint the style; make recipes the small recipes for real
# make doc      the documentation, into site/
# make doctor   what works on this machine, and what to do where it does not
#
# The first call makes .venv and installs the tested versions into it. To use another
# interpreter or environment:  make PYTHON=python3.12 demo   or   make VENV=/path test

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PIP_INSTALL = PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet -c tools/constraints.txt
SHELL_FILES = $(shell git ls-files | grep -v '\.md$$' | xargs grep -lE '^\#!.*\b(ba)?sh\b' 2>/dev/null) \
	$(shell git ls-files 'egs/*/*/*.sh' 'utils/*.sh')

export PATH := $(abspath $(VENV))/bin:$(PATH)

.PHONY: demo test recipes lint format doc doctor install clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.py tools/constraints.txt
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "make: '$(PYTHON) -m venv' failed: install Python >= 3.10 with its venv" \
	       "module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "installing into $(VENV) (once; some minutes)"
	@$(PIP_INSTALL) --upgrade pip
	@$(PIP_INSTALL) -e '.[demo,doc,test]'
	@touch $@

demo: install
	cd egs/digits/asr1 && ./run.sh

test: install
	$(VENV)/bin/python -m pytest -n $(JOBS) -m "not slow" test test_utils

recipes: install
	$(VENV)/bin/python -m pytest -m slow test test_utils

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/shellcheck -x $(sort $(SHELL_FILES))

format: install
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

doc: install
	$(VENV)/bin/python -m mkdocs build --clean
	@echo "open site/index.html"

doctor: install
	$(VENV)/bin/python -m tools.doctor

clean:
	rm -rf $(VENV) build site *.egg-info .pytest_cache .ruff_cache .mypy_cache
