from functools import partial

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from pipeline import params, train_unet
from pipeline.datasets import store
from pipeline.model_files import saved
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet
from pipeline.training.batches import bytes_to_rgb, flip, loaders, to_lightness_and_ab
from pipeline.training.learner import learner
from pipeline.training.statistics import take_statistics
from tests.archives import draw


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(module: nn.Module, before: dict[str, Tensor]) -> list[bool]:
    return [torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items()]


class Watch(Callback):
    """Keeps what the network is shown in training, and what it was before."""

    order = 1  # after what changes the pictures

    def before_fit(self):
        self.before = state(self.model.layers[0])
        self.all_shown = []

    def before_batch(self):
        if self.training:
            self.shown = self.x
            self.all_shown.append(self.x)


def train(monkeypatch, tmp_path, **changes: float) -> tuple[Tensor, Watch, nn.Module]:
    """L of the pictures there are, what was seen of a U-Net's training, and that U-Net."""
    settings = params.load().at(16)
    settings = settings.model_copy(update={"unet": settings.unet.model_copy(update={"epochs": 1} | changes)})
    monkeypatch.chdir(tmp_path)
    pictures, labels = draw(8, 16, np.random.default_rng(0))
    split = store.Split(pictures, labels)
    store.write(train_unet.colouriser.TARGET, {"name": "few"}, {"train": split, "validation": split})
    network, watch = unet("resnet20", dropout=settings.unet.dropout), Watch()
    train_unet.train(settings, network, watch)
    there, _ = to_lightness_and_ab(bytes_to_rgb(torch.from_numpy(pictures)), torch.from_numpy(labels))
    return there, watch, network


@pytest.mark.parametrize("zoom", [0, 0.25])
def test_without_zoom_the_unet_sees_pictures_as_they_are_or_mirrored(monkeypatch, tmp_path, zoom):
    there, watch, _ = train(monkeypatch, tmp_path, zoom=zoom)
    known = torch.cat((there, there.flip(3)))
    found = [any(torch.allclose(l, other, atol=1e-5) for other in known) for l in watch.shown]  # noqa: E741
    assert len(found) == len(there)
    assert all(found) == (zoom == 0)


def test_the_first_part_of_training_has_pictures_of_half_the_side_of_the_same_colours(monkeypatch, tmp_path):
    there, watch, _ = train(monkeypatch, tmp_path, zoom=0, epochs=4, half_size=0.5)
    assert [shown.shape[2:] for shown in watch.all_shown] == [(8, 8), (8, 8), (16, 16), (16, 16)]
    halved = nn.functional.avg_pool2d(there, 2)
    known = torch.cat((halved, halved.flip(3)))
    assert all(any(torch.allclose(l, other, atol=1e-5) for other in known) for l in watch.all_shown[0])  # noqa: E741


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


@pytest.mark.parametrize("rate", [0, 0.0004])
def test_the_encoder_learns_at_its_rate_and_at_0_stays_what_it_was_to_the_last_bit(monkeypatch, tmp_path, rate):
    _, watch, network = train(monkeypatch, tmp_path, encoder_learning_rate=rate)
    encoder, *_ = network.train().layers
    assert all(same(encoder, watch.before)) == (rate == 0)
    assert encoder.training == (rate > 0)
    for name, parameter in encoder.named_parameters():
        assert torch.equal(parameter, watch.before[name]) == (rate == 0), name


def test_random_weights_that_are_frozen_normalise_by_the_pictures(monkeypatch, tmp_path):
    settings = params.load()
    settings = settings.model_copy(update={"unet": settings.unet.model_copy(update={"epochs": 1})})
    train(monkeypatch, tmp_path, encoder_learning_rate=0)  # writes the pictures
    random = Classifier("vgg8", channels=1, classes=2)
    about = {"channels": 1, "classes": 2, "seed": 0, "training": {}, "data": "none"}
    saved.save(train_unet.ENCODER, random, kind="classifier", architecture="vgg8", **about)
    begun = []
    monkeypatch.setattr(train_unet, "train", lambda _, network, *__: begun.append(state(network.layers[0])) or 1 / 0)
    for rate in (0.0, 0.0004):
        chosen = settings.unet.model_copy(update={"encoder_learning_rate": rate})
        with pytest.raises(ZeroDivisionError):
            train_unet.run(settings.model_copy(update={"unet": chosen}))
    frozen, learning = ([tensor for name, tensor in one.items() if "running_var" in name] for one in begun)
    assert not any((tensor == 1).all() for tensor in frozen)
    assert all((tensor == 1).all() for tensor in learning)


def test_a_frozen_encoder_stays_so_in_training_on_and_its_statistics_when_they_are_taken_anew():
    pictures, labels = draw(8, 16, np.random.default_rng(0))
    split = store.Split(pictures, labels)
    batches = loaders(split, split, to_lightness_and_ab, flip, 4)
    network = unet("resnet20")
    nn.init.normal_(network.layers[-1].weight)
    network.freeze_encoder()
    before = state(network.layers[0])
    learner(batches, network, nn.L1Loss(), partial(torch.optim.Adam, fused=True), []).fit(1, 0.01)
    decoder = state(network.layers[1])
    for tensor in network.layers[1].buffers():
        tensor.zero_()
    take_statistics(network.train(), batches)
    assert all(same(network.layers[0], before))
    assert all(same(network.layers[1], decoder))
    assert network.training
    assert not network.layers[0].training
