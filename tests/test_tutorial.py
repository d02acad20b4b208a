from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

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
    for train, quick in product((tutorial.l1_alone, tutorial.against_a_patchgan), (False, True)):
        before = torch.cat([tensor.flatten() for tensor in network.parameters()])
        history = train(settings, network, epochs=1, quick=quick)
        assert np.isfinite(history.rows[0]["train_l1"])
        assert not torch.equal(before, torch.cat([tensor.flatten() for tensor in network.parameters()]))


def test_the_tutorials_networks_see_no_mirror_image():
    network = unet("resnet20").eval()
    nn.init.normal_(network.layers[-1].weight)
    picture = torch.rand(1, 1, 32, 32)
    both = network(picture)
    assert torch.allclose(both, network(picture.flip(3)).flip(3), atol=1e-3)
    one = tutorial.paint_one_way(network)(picture)
    assert not torch.allclose(one, both, atol=0.1)
    assert torch.allclose((one + network(picture.flip(3)).flip(3)) / 2, both, atol=1e-3)


@pytest.mark.parametrize(("side", "patch"), [(32, 16), (96, 34), (256, 70)])
def test_the_tutorials_patches_fit_the_pictures(side, patch):
    discriminator = tutorial.PlainPatchGAN(tutorial.downsamplings(side)).eval()
    seen = torch.zeros(1, 3, side, side, requires_grad=True)
    verdict = discriminator.layers(seen)
    verdict[0, 0, verdict.shape[2] // 2, verdict.shape[3] // 2].backward()
    rows = seen.grad[0].abs().sum((0, 2)).nonzero()
    assert rows.max() - rows.min() + 1 == patch
