import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.datasets import store
from pipeline.pretrain import DATA
from tests.archives import draw

ROOT = Path.cwd()
STAGES = [*(f"pretrain {name}" for name in DATA), "train-unet", "train-gan", "evaluate"]
ON_THE_DEVICE = """
import sys
from tests import apple
from pipeline import cli
from pipeline.system import errors
from pipeline.training import batches, selection
from pipeline.training.losses import frechet

def stop(*_):
    selection.Selection.after_fit = go_on
    raise KeyboardInterrupt

assert batches.default_device().type == apple.NAME
frechet.ENOUGH = 0.01  # pictures for each feature
selection.Selection.after_fit, go_on = stop, selection.Selection.after_fit
for command in sys.argv[1:]:
    try:
        cli.app(command.split(), standalone_mode=False)
    except errors.Stopped:
        cli.app(command.split(), standalone_mode=False)
"""
REFUSED = """
import numpy, torch
from tests import apple

there = torch.ones(2, device=apple.DEVICE)
for way in (
    lambda: there.double(),
    lambda: torch.zeros(2, dtype=torch.float64, device=apple.DEVICE),
    lambda: torch.from_numpy(numpy.ones(2)).to(apple.DEVICE),
    lambda: there + torch.ones(2),
    lambda: there.numpy(),
):
    try:
        way()
    except (TypeError, RuntimeError) as error:
        print(error)
"""


def on_the_device(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """A folder with an epoch of everything, a few pictures and a photograph."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["case"] = "photos"
    for section in (*content["pretrain"].values(), content["unet"], content["gan"]):
        section["epochs"] = 1
    content["evaluate"] |= {"resamples": 100, "grid": 4}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    pictures = store.Split(*draw(16, 16, np.random.default_rng(0)))
    for role in DATA.values():
        store.write(tmp_path / role, {"name": "few", "classes": ["a"] * 10}, dict.fromkeys(store.SPLITS, pictures))
    Image.linear_gradient("L").save(tmp_path / "photo.jpg")
    return tmp_path


def test_the_whole_study_and_colouring_run_on_a_device_without_float64(project):
    done = on_the_device(project, ON_THE_DEVICE, *STAGES, "colourise photo.jpg --out coloured --model gan")
    assert done.returncode == 0, done.stderr
    assert "the Fréchet distance will not count" not in done.stdout
    assert "going on in epoch 1/1, after batch 1/1" in done.stdout  # of the GAN's training
    assert "written: coloured/photo.jpg" in done.stdout
    for path in (*(f"models/{name}.safetensors" for name in ("unet", "gan")), "plots/grid.png", "coloured/photo.jpg"):
        assert (project / path).exists()


def test_what_apples_gpus_refuse_this_device_refuses(tmp_path):
    done = on_the_device(tmp_path, REFUSED)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.partition(": ")[2] for line in said[:3]] == ["Apple's GPUs have no float64"] * 3
    assert said[3].endswith("given a tensor that is not on the device")
    assert "numpy" in said[4]
