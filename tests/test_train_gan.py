from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline import params, train_gan
from pipeline.colour import bytes_to_rgb, rgb_to_l_ab
from pipeline.datasets import store
from pipeline.model_files import saved
from pipeline.networks.classifier import Classifier
from pipeline.networks.discriminator import PatchDiscriminator
from pipeline.networks.generator import unet
from pipeline.system.errors import PipelineError
from tests.archives import draw
from tests.painters import CLASSIFIER, COLOURISER, random_unet
from tests.test_checkpoint import Kill


def test_the_features_are_those_of_the_classifier_that_was_trained_on_the_same_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier = Classifier("resnet20", 3, 2).eval()
    saved.save(train_gan.FEATURES, classifier, **CLASSIFIER)
    rgb = torch.rand(2, 3, 32, 32)
    assert torch.equal(train_gan.features(CLASSIFIER["data"], 16)(rgb), classifier.body(rgb))
    with pytest.raises(PipelineError, match=r"^models/features\.safetensors: given one trained on .*, needed others; "):
        train_gan.features("others", 16)


def ready(tmp_path, monkeypatch, about, **changes):
    """Parameters of a short training, and a folder with all that it needs, in which it may write."""
    settings = params.load()
    quick = settings.gan.model_copy(update={"batch_size": 4, "filters": 4, "colourfulness": 0.0, **changes})
    monkeypatch.chdir(tmp_path)
    split = store.Split(*draw(16, 32, np.random.default_rng(0)))
    store.write(train_gan.colouriser.TARGET, {"name": "photos32"}, {"train": split, "validation": split})
    network = random_unet()
    saved.save(train_gan.UNET, network, **COLOURISER | {"unet": about})
    saved.save(train_gan.FEATURES, Classifier("resnet20", 3, 2), **CLASSIFIER)
    return settings.model_copy(update={"gan": quick}), network


@pytest.mark.parametrize("rate", [0, 0.0004])
def test_an_encoder_that_was_frozen_stays_so(tmp_path, monkeypatch, rate):
    settings, network = ready(tmp_path, monkeypatch, {"encoder_learning_rate": rate}, epochs=1)
    before = network.layers[0].state_dict()
    train_gan.run(settings)
    trained, about = saved.load(tmp_path / "models/gan.safetensors", "colouriser")
    assert about["share"] > 0
    same = [torch.equal(tensor, before[name]) for name, tensor in trained.layers[0].state_dict().items()]
    assert all(same) == (rate == 0)


def test_pictures_are_normalised_as_the_unet_does_it_while_all_weights_learn(tmp_path, monkeypatch):
    settings, network = ready(tmp_path, monkeypatch, {}, epochs=1)
    before = network.state_dict()
    train_gan.run(settings)
    trained, about = saved.load(tmp_path / "models/gan.safetensors", "colouriser")
    assert about["share"] > 0
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, before[name]) == ("running_" in name or "num_batches" in name), name


def test_pictures_that_are_too_small_at_half_the_side_are_refused_before_the_training(tmp_path, monkeypatch):
    settings, _ = ready(tmp_path, monkeypatch, {}, epochs=1, half_size=0.5)
    architecture = "timm/test_convnext"
    saved.save(train_gan.UNET, unet(architecture), **COLOURISER | {"architecture": architecture, "unet": {}})
    with pytest.raises(PipelineError, match=rf"^given pictures of 16 pixels, allowed for {architecture}: 32"):
        train_gan.run(settings)


def test_a_unet_of_other_pictures_is_refused(tmp_path, monkeypatch):
    settings, network = ready(tmp_path, monkeypatch, {}, epochs=0)
    saved.save(train_gan.UNET, network, **COLOURISER | {"data": "stl10"})
    with pytest.raises(PipelineError, match=r"^models/unet\.safetensors: given one trained on stl10, needed "):
        train_gan.run(settings)


def test_without_epochs_the_network_is_the_unet_and_says_so(tmp_path, monkeypatch):
    settings, network = ready(tmp_path, monkeypatch, {}, epochs=0, downsamplings=9)  # too many, but none is built
    monkeypatch.setattr(train_gan.colouriser, "batches", None)  # nor is there a batch to share among processes
    train_gan.run(settings)
    trained, about = saved.load(tmp_path / "models/gan.safetensors", "colouriser")
    assert about["gan"]["epochs"] == about["share"] == 0
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in trained.state_dict().items())
    assert (tmp_path / "plots/gan.csv").read_text().startswith("epoch,train_l1,")


def test_without_an_adversary_none_is_built_and_its_columns_are_empty(tmp_path, monkeypatch):
    settings, network = ready(tmp_path, monkeypatch, {}, epochs=1, adversarial_weight=0, downsamplings=5)
    monkeypatch.setattr(train_gan, "PatchDiscriminator", None)  # with patches that would be too large, it is not asked
    train_gan.run(settings)
    trained, about = saved.load(tmp_path / "models/gan.safetensors", "colouriser")
    assert about["gan"]["adversarial_weight"] == 0 < about["share"]
    assert any(not torch.equal(tensor, network.state_dict()[name]) for name, tensor in trained.state_dict().items())
    rows = pd.read_csv(tmp_path / "plots/gan.csv")
    assert rows[["adversarial", "discriminator_real", "discriminator_fake"]].isna().all(axis=None)
    assert rows[["train_l1", "train_edges", "paleness", "validation_l1"]].notna().all(axis=None)


@pytest.mark.parametrize(("half_size", "sides"), [(0.0, [32] * 4), (0.5, [16, 16, 32, 32])])
def test_the_first_part_of_training_has_pictures_of_half_the_side(tmp_path, monkeypatch, half_size, sides):
    settings, _ = ready(tmp_path, monkeypatch, {}, epochs=1, half_size=half_size)
    seen, look = [], PatchDiscriminator.look

    def watched(discriminator, l, *mean):  # noqa: E741
        seen.append(l.shape[-1])
        return look(discriminator, l, *mean)

    monkeypatch.setattr(PatchDiscriminator, "look", watched)
    train_gan.run(settings)
    assert seen == sides
    too_large = settings.gan.model_copy(update={"downsamplings": sides[0].bit_length()})
    with pytest.raises(PipelineError, match=rf"^gan\.downsamplings: given .*, allowed for pictures of {sides[0]} "):
        train_gan.run(settings.model_copy(update={"gan": too_large}))


def test_skill_says_how_much_of_the_l1_of_grey_is_gone(tmp_path, monkeypatch):
    settings, _ = ready(tmp_path, monkeypatch, {}, epochs=1)
    monkeypatch.setattr(train_gan.colouriser, "CHUNK", 5)  # of 16 pictures
    train_gan.run(settings)
    pictures = store.read(train_gan.colouriser.TARGET, "validation").pictures
    grey = np.abs(rgb_to_l_ab(bytes_to_rgb(pictures))[1]).mean()
    rows = pd.read_csv(tmp_path / "plots/gan.csv")
    assert rows["validation_skill"].to_numpy() == pytest.approx(1 - rows["validation_l1"] / grey, abs=1e-6)


@pytest.mark.parametrize("weight", [0, 1])
def test_a_run_that_was_killed_ends_as_if_it_never_had_been(tmp_path, monkeypatch, capsys, weight):
    settings, _ = ready(tmp_path, monkeypatch, {}, epochs=2, adversarial_weight=weight)
    train_gan.run(settings)
    undisturbed = {path: Path(path).read_bytes() for path in ("models/gan.safetensors", "plots/gan.csv")}
    for path in undisturbed:
        Path(path).unlink()
    train = train_gan.train
    with monkeypatch.context() as patch:
        patch.setattr(train_gan, "train", lambda *given: train(*given, Kill(1, 1, "after_batch")))
        with pytest.raises(KeyboardInterrupt):
            train_gan.run(settings)
    capsys.readouterr()
    train_gan.run(settings)
    assert "going on in epoch 1/2, after batch 4/4" in capsys.readouterr().out
    assert {path: Path(path).read_bytes() for path in undisturbed} == undisturbed
