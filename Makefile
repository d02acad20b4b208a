# Everything that is more than one command. `make` alone says what there is.

PYTHON ?= python3
# DVC starts `python` from the PATH, so the environment goes in front.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help install demo test lint format

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Make the virtual environment in .venv and install what constraints.txt pins

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --progress-bar on --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## Run the whole study on photographs that installed packages carry; no network, at most 10 minutes
	dvc exp run --set-param case=photos
	@# The experiment keeps its dvc.lock; the work tree stays as it was, but for the case in params.yaml.
	@git ls-files --error-unmatch dvc.lock >/dev/null 2>&1 || rm -f dvc.lock
	@echo
	@python -m pipeline report

test: install ## Run the tests
	ruff check .
	ruff format --check .
	python -m pytest
