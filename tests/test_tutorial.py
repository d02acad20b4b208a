import numpy as np
import torch

from benchmarks import tutorial
from pipeline import params
from pipeline.datasets import store
from pipeline.networks.generator import unet
from pipeline.training import colouriser
from tests.archives import draw


def test_the_tutorials_recipe_still_trains_on_what_this_project_has_become(tmp_path, monkeypatch):
    settings = params.load()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tutorial.os, "cpu_count", lambda: 0)  # no processes for so few pictures
    split = store.Split(*draw(32, 32, np.random.default_rng(0)))
    store.write(colouriser.TARGET, {"name": "photos32"}, {"train": split, "validation": split})
    network = unet("resnet20")
    for train in (tutorial.l1_alone, tutorial.against_a_patchgan):
        before = torch.cat([tensor.flatten() for tensor in network.parameters()])
        history = train(settings, network, epochs=1)
        assert np.isfinite(history.rows[0]["train_l1"])
        assert not torch.equal(before, torch.cat([tensor.flatten() for tensor in network.parameters()]))
