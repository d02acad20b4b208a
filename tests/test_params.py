import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import params
from pipeline.errors import ParamsError

PARAMS = yaml.safe_load(Path("params.yaml").read_text())


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    """params.yaml with one value changed; the key's parts are joined by dots."""
    content = copy.deepcopy(PARAMS)
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_the_committed_file_is_valid_and_names_the_roles():
    checked = params.load()
    assert (checked.roles().target, checked.roles().encoder) == ("cifar10", "cifar10")


def test_every_case_in_the_file_can_be_set(tmp_path):
    for case in PARAMS["cases"]:
        assert params.load(changed(tmp_path, "case", case)).case == str(case)


def test_numbers_that_dvc_writes_in_scientific_notation_are_numbers(tmp_path):
    assert params.load(changed(tmp_path, "unet.learning_rate", "1e-05")).unet.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("unet.epochz", 3, "unet.epochz: unknown key, allowed: epochs, batch_size, learning_rate, weight_decay"),
        ("speed", 3, "speed: unknown key, allowed: case, cases, seed,"),
        ("unet.epochs", "many", "unet.epochs: given 'many', allowed: an integer"),
        ("unet.epochs", 0, "unet.epochs: given 0, allowed: greater than or equal to 1"),
        ("unet.epochs", 2.5, "unet.epochs: given 2.5, allowed: an integer"),
        ("unet.epochs", True, "unet.epochs: given True, allowed: a number or a word"),
        ("unet.learning_rate", 1.5, "unet.learning_rate: given 1.5, allowed: less than or equal to 1"),
        ("unet.learning_rate", float("nan"), "unet.learning_rate: given nan, allowed: a finite number"),
        ("gan.l1_weight", -1, "gan.l1_weight: given -1, allowed: greater than or equal to 0"),
        ("case", 3, "case: given '3', allowed: 1, 2, 2-high, none, photos,"),
        ("cases.1.target", "cifar100", "cases.1.target: given 'cifar100', allowed: cifar10, stl10, photos32,"),
        ("cases.1.encoder", "vgg", "cases.1.encoder: given 'vgg', allowed: cifar10, stl10, photos32, photos96,"),
        ("cases.1", "cifar10", "cases.1: given 'cifar10', allowed: the keys target, encoder"),
        ("unet", None, "unet: given None, allowed: the keys epochs, batch_size, learning_rate, weight_decay"),
        ("datasets.cifar10.checksum", "md5:12", "datasets.cifar10.checksum: given 'md5:12', allowed: md5: and 32"),
        ("datasets.cifar10.urls", "http://x", "datasets.cifar10.urls: given 'http://x', allowed: a list"),
        ("datasets.cifar10.urls", [], "datasets.cifar10.urls: given [], allowed: a list of 1 or more"),
        ("pretrain.judge.architecture", "vgg", "given 'vgg', allowed: resnet10, resnet20, resnet18, resnet34"),
        ("seed", -1, "seed: given -1, allowed: greater than or equal to 0"),
    ],
)
def test_a_bad_value_gives_one_line_with_key_given_and_allowed(tmp_path, key, value, expected):
    with pytest.raises(ParamsError) as caught:
        params.load(changed(tmp_path, key, value))
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: [", "\udcff"])
def test_a_file_that_is_no_parameters_gives_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ParamsError) as caught:
        params.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path):
    content = copy.deepcopy(PARAMS)
    del content["gan"]["epochs"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ParamsError, match=r"gan\.epochs: missing"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize("stage", ["download target", "pretrain judge", "train-unet", "train-gan", "evaluate"])
def test_every_stage_refuses_a_bad_value_before_it_touches_anything(tmp_path, stage):
    changed(tmp_path, "gan.epochs", 0)
    command = [sys.executable, "-m", "pipeline", *stage.split()]
    environment = {"PYTHONPATH": str(Path.cwd()), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "error: params.yaml: gan.epochs: given 0, allowed: greater than or equal to 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
