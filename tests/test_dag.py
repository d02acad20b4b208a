"""The stages in dvc.yaml, against the modules and the schema that they stand for. Nothing is run here."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

STAGES = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load(Path("params.yaml").read_text())

# The schema and the errors are everywhere and change no result.
EVERYWHERE = {Path("pipeline/params.py"), Path("pipeline/errors.py")}


def imports(module: Path) -> set[Path]:
    """The project's modules that a module imports itself, and the packages that this brings in."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline"):
            names |= {f"{node.module}.{name.name}" for name in node.names}
    dotted = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    paths = {Path(*name.split(".")) for name in dotted}
    return {file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}


@cache
def imported(module: Path) -> frozenset[Path]:
    """The project's modules without which a module cannot be imported; with itself."""
    found, open_ends = set(), {module}
    while open_ends:
        found |= open_ends
        open_ends = {path for end in open_ends for path in imports(end)} - found
    return frozenset(
        path for path in found - EVERYWHERE if ast.parse(path.read_text()).body[1:]
    )  # more than a docstring


def definition(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def modules_among(dependencies: list[str]) -> set[Path]:
    paths = [Path(path) for path in dependencies if path.startswith("pipeline/")]
    return {file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_run_again_when_any_module_that_it_imports_has_changed(stage):
    missing = imported(Path(f"pipeline/{stage}.py")) - modules_among(definition(stage)["deps"])
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_no_module_that_it_does_not_import(stage):
    for path in (path for path in definition(stage)["deps"] if path.startswith("pipeline/")):
        assert modules_among([path]) & imported(Path(f"pipeline/{stage}.py")), path


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_parameters_that_exist(stage):
    for name in definition(stage)["params"]:
        section, _, rest = name.partition(".")
        assert section in PARAMS, name
        assert not rest or rest == "${key}" or rest in PARAMS[section], name


def test_only_download_and_the_report_of_evaluate_know_the_case():
    assert {stage for stage in STAGES if "case" in definition(stage)["params"]} == {"download", "evaluate"}


def test_the_names_of_cases_are_all_text_because_dvc_sorts_them():
    assert {type(name) for name in PARAMS["cases"]} == {str}
