"""The stages in dvc.yaml, against the modules and the schema that they stand for. Nothing is run here."""

from pathlib import Path

import pytest
import yaml

from pipeline.training import identity

STAGES = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load(Path("params.yaml").read_text())

# Those that DVC runs when something has changed; others it runs each time.
TRACKED = [name for name, stage in STAGES.items() if not stage.get("always_changed")]


def definition(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def modules_among(dependencies: list[str]) -> set[Path]:
    paths = [Path(path) for path in dependencies if path.startswith("pipeline/")]
    return {file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))}


@pytest.mark.parametrize("stage", TRACKED)
def test_a_stage_is_run_again_when_any_module_that_it_imports_has_changed(stage):
    missing = identity.modules(f"pipeline.{stage}") - modules_among(definition(stage)["deps"])
    assert not missing


@pytest.mark.parametrize("stage", TRACKED)
def test_a_stage_lists_no_module_that_it_does_not_import(stage):
    for path in (path for path in definition(stage)["deps"] if path.startswith("pipeline/")):
        assert modules_among([path]) & identity.modules(f"pipeline.{stage}"), path


@pytest.mark.parametrize("stage", TRACKED)
def test_a_stage_reads_parameters_that_exist(stage):
    for name in definition(stage)["params"]:
        section, _, rest = name.partition(".")
        assert section in PARAMS, name
        assert not rest or rest == "${key}" or rest in PARAMS[section], name


def test_only_download_and_the_report_of_evaluate_know_the_case():
    assert {stage for stage in TRACKED if "case" in definition(stage)["params"]} == {"download", "evaluate"}


def test_only_what_trains_a_colouriser_depends_on_pictures_without_labels():
    depends = {stage for stage in TRACKED if "data/unlabelled" in definition(stage)["deps"]}
    assert depends == {stage for stage in TRACKED if "images" in definition(stage)["params"]} - {"unlabelled"}
    assert depends == {"train_unet", "train_gan"}


def test_only_the_inventory_of_the_folder_is_taken_each_time_and_nothing_else_looks_at_the_folder():
    assert STAGES.keys() - set(TRACKED) == {"inventory"}
    assert set(STAGES["inventory"]) == {"desc", "cmd", "always_changed", "outs"}
    assert "data/inventory.json" in definition("download")["deps"]
    assert "datasets.folder" not in Path("dvc.yaml").read_text()


def test_the_names_of_cases_are_all_text_because_dvc_sorts_them():
    assert {type(name) for name in PARAMS["cases"]} == {str}
