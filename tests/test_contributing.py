"""CONTRIBUTING.md is true: its three patches are applied to a copy of the project, one after the other, and tried."""

import re
from pathlib import Path

import pytest

from tests.project import Project, small

PATCHES = re.findall("```diff\n(.+?)```", Path("CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
MEASURE = """
import torch
from pipeline.measuring import measurements, painting
from pipeline.datasets import store
from pipeline.networks.classifier import Classifier
from pathlib import Path

torch.manual_seed(0)
paint = painting.painters({"unet": lambda l: l.repeat(1, 2, 1, 1)})
measured = measurements.measure(store.read(Path("data/target"), "test"), paint, Classifier("resnet20", 3, 2).eval(), 10)
assert measured["grey"]["worst"].shape == (20,)
assert (measured["unet"]["worst"] >= measured["unet"]["l1"]).all()
"""


@pytest.fixture(scope="module")
def contributed(tmp_path_factory):
    """The project with a data set, an encoder and a metric more."""
    project = Project(tmp_path_factory.mktemp("contributed"), small())
    project.run("git", "checkout", "--quiet", "-b", "mine")
    (project.folder / "params.yaml").write_bytes(Path("params.yaml").read_bytes())  # with its comments
    for patch in PATCHES:
        (project.folder / "patch").write_text(patch, encoding="utf-8")
        project.run("git", "apply", "-p0", "patch")
    params = (project.folder / "params.yaml").read_text()
    params = params.replace("\ncase: 1\n", "\ncase: stripes\n").replace("architecture: vgg8", "architecture: tiny", 1)
    (project.folder / "params.yaml").write_text(params)
    for role in ("target", "encoder"):
        project.run("python", "-m", "pipeline", "download", role)
    return project


def test_there_is_a_patch_for_each_of_the_three():
    assert [re.search("Stripes|Two pairs|worst", patch)[0] for patch in PATCHES] == ["Stripes", "Two pairs", "worst"]


def test_a_data_set_is_downloaded(contributed):
    said = contributed.run("python", "-m", "pipeline", "download", "target")
    assert "data/target: stripes, 32×32, 80 train, 20 validation, 20 test pictures, 2 classes" in said


def test_an_encoder_is_trained(contributed):
    contributed.run("python", "-m", "pipeline", "pretrain", "encoder")
    assert (contributed.folder / "models/encoder.safetensors").stat().st_size < 500_000  # vgg8 has 6 MB


def test_a_metric_is_measured(contributed):
    contributed.run("python", "-W", "ignore", "-c", MEASURE)
