# What takes more than one command. `make` alone says what there is.

PYTHON ?= python3

# Stages run `python` from the PATH, so the environment goes in front; what made it must not be itself.
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help install demo test bench

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## Make a virtual environment in .venv, with what constraints.txt pins

.venv/installed: pyproject.toml constraints.txt
	PATH="$(SYSTEM_PATH)" $(PYTHON) -m venv .venv
	python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install ## Run the whole study, in a copy of its own in demo/, on photographs that installed packages carry
	@test -d demo || git clone --quiet . demo
	@sed -i.old 's/^case: .*/case: photos/' demo/params.yaml && rm demo/params.yaml.old
	@cd demo && dvc repro
	@echo
	@cd demo && python -m pipeline report
	@echo "All of these are in the folder demo."

test: install ## Check the style and run the tests
	ruff check .
	ruff format --check .
	python -m pytest

bench: install ## Compare the recipe with the tutorial's, take ingredients out, watch what grows: hours, after `dvc repro`
	python benchmarks/recipes.py bench
	python benchmarks/frontier.py bench/frontier.png tutorial=bench/tutorial-gan-0.safetensors
	python benchmarks/ablation.py bench
	python benchmarks/encoders.py bench
	python benchmarks/growth.py bench/growth.png
