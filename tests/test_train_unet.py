import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from pipeline import params, train_unet
from pipeline.datasets import store
from pipeline.networks.generator import unet
from pipeline.training.batches import bytes_to_rgb, to_lightness_and_ab
from tests.archives import draw


class Watch(Callback):
    """Keeps what the network is shown in training."""

    def before_batch(self):
        if self.training:
            self.shown = self.x


def train(monkeypatch, tmp_path, **changes: float) -> tuple[Tensor, Tensor, nn.Module]:
    """L of the pictures there are, L as a U-Net saw them in training, and that U-Net."""
    settings = params.load()
    settings = settings.model_copy(update={"unet": settings.unet.model_copy(update={"epochs": 1} | changes)})
    monkeypatch.chdir(tmp_path)
    pictures, labels = draw(8, 16, np.random.default_rng(0))
    split = store.Split(pictures, labels)
    store.write(train_unet.colouriser.TARGET, {"name": "few"}, {"train": split, "validation": split})
    network, watch = unet("resnet20", dropout=settings.unet.dropout), Watch()
    train_unet.train(settings, network, True, watch)
    there, _ = to_lightness_and_ab(bytes_to_rgb(torch.from_numpy(pictures)), torch.from_numpy(labels))
    return there, watch.shown, network


@pytest.mark.parametrize("zoom", [0, 0.25])
def test_without_zoom_the_unet_sees_pictures_as_they_are_or_mirrored(monkeypatch, tmp_path, zoom):
    there, shown, _ = train(monkeypatch, tmp_path, zoom=zoom)
    known = torch.cat((there, there.flip(3)))
    found = [any(torch.allclose(l, other, atol=1e-5) for other in known) for l in shown]  # noqa: E741
    assert len(found) == len(there)
    assert all(found) == (zoom == 0)


@pytest.mark.parametrize("dropout", [0, 0.3])
def test_dropout_is_that_of_the_parameters(monkeypatch, tmp_path, dropout):
    _, _, network = train(monkeypatch, tmp_path, dropout=dropout)
    torch.manual_seed(0)
    l = torch.rand(2, 1, 16, 16)  # noqa: E741
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.inference_mode():
        assert torch.equal(network(l), network(l)) == (dropout == 0)
