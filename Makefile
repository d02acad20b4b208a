# What takes more than one command. `make` alone says what there is.

PYTHON ?= python3

# Stages run `python` from the PATH, so the environment goes in front; what made it must not be itself.
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# `dvc exp run` commits what it ran, also where nobody has told git a name yet.
ifeq ($(shell git config user.email),)
export GIT_AUTHOR_NAME := ColourGAN
export GIT_AUTHOR_EMAIL := colourgan@localhost
export GIT_COMMITTER_NAME := $(GIT_AUTHOR_NAME)
export GIT_COMMITTER_EMAIL := $(GIT_AUTHOR_EMAIL)
endif

.PHONY: help install demo test

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Make a virtual environment in .venv, with what constraints.txt pins

.venv/installed: pyproject.toml constraints.txt
	PATH="$(SYSTEM_PATH)" $(PYTHON) -m venv .venv
	python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## Run the whole study on photographs that installed packages carry: no network, 10 minutes at most
	dvc exp run --set-param case=photos
	@# The experiment keeps its dvc.lock; the work tree stays as it was, but for the case in params.yaml.
	@git ls-files --error-unmatch dvc.lock >/dev/null 2>&1 || rm -f dvc.lock
	@echo
	@python -m pipeline report

test: install ## Check the style and run the tests
	ruff check .
	ruff format --check .
	python -m pytest
