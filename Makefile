# What takes more than one command. `make` alone says what there is.

PYTHON ?= python3

# Stages run `python` from the PATH, so the environment goes in front; what made it must not be itself.
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# make 3.81, which macOS has, looks on the old one for a command that needs no shell.
INSIDE := .venv/bin/python

.PHONY: help install demo test bench

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-12s%s\n", $$1, $$2}' Makefile

install: .venv/installed ## Make a virtual environment in .venv, with what constraints.txt pins
	@git rev-parse --git-dir >/dev/null 2>&1 || { test ! -e .git && $(NO_GIT) >.dvc/config.local; } || echo \
		"git does not open this folder: install git, or say git config --global --add safe.directory '$(CURDIR)'" >&2

# A zip of the project is no repository: DVC runs the study there, too, but keeps no experiments.
NO_GIT := printf '[core]\n    no_scm = true\n'
FIT := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
UNFIT := is no Python 3.11 or newer with venv: install one, with python3-venv on Debian, or say make PYTHON=python3.12 …

.venv/installed: pyproject.toml constraints.txt
	@PATH="$(SYSTEM_PATH)" $(PYTHON) -c '$(FIT)' 2>/dev/null || { echo "error: $(PYTHON) $(UNFIT)" >&2; exit 1; }
	PATH="$(SYSTEM_PATH)" $(PYTHON) -m venv .venv
	$(INSIDE) -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

CODE := pipeline dvc.yaml
SAME = for part in $(CODE); do diff -qr -x __pycache__ $$part demo/$$part >/dev/null 2>&1 || exit 1; done
VALUES := sed 's/^case: .*/case: photos/' params.yaml
OLD = demo-$(shell date +%Y-%m-%d-%H%M%S)

demo: install ## Run the whole study, in a copy of its own in demo/, on photographs that installed packages carry
	@test ! -e demo || ($(SAME)) || { mv demo $(OLD) && echo "demo/ was of other code, it is $(OLD)/ now"; }
	@test -e demo || { mkdir demo && tar -cf - --exclude __pycache__ $(CODE) .dvcignore .dvc/config | \
		tar -xf - -C demo && $(NO_GIT) >demo/.dvc/config.local; }
	@$(VALUES) | cmp -s - demo/params.yaml || { $(VALUES) >demo/params.yaml; echo "demo/params.yaml has today's values"; }
	@cd demo && dvc repro
	@echo
	@cd demo && python -m pipeline colourise data/target/photographs --out coloured --compare
	@cd demo && python -m pipeline report
	@echo "All of these are in the folder demo."

test: install ## Check style and types and run the tests
	$(INSIDE) -m ruff check .
	$(INSIDE) -m ruff format --check .
	$(INSIDE) -m mypy
	$(INSIDE) -m pytest

bench: install ## Compare the recipe with the tutorial's, take ingredients out, watch what grows: hours, after `dvc repro`
	$(INSIDE) benchmarks/recipes.py bench
	$(INSIDE) benchmarks/frontier.py --unet bench/study-unet-0.safetensors --gan bench/study-gan-0.safetensors bench/frontier.png tutorial=bench/tutorial-gan-0.safetensors "tutorial, quick=bench/tutorial-quick-gan-0.safetensors"
	$(INSIDE) benchmarks/ablation.py bench
	$(INSIDE) benchmarks/encoders.py bench
	$(INSIDE) benchmarks/growth.py bench/growth.png
