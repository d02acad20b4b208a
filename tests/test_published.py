import numpy as np
import pandas as pd
import pytest
import timm
import torch
from fastai.callback.core import Callback
from PIL import Image
from torch import nn

from pipeline import export, params, pretrain, train_unet
from pipeline.colourise import Colouriser
from pipeline.datasets import store
from pipeline.model_files import saved
from pipeline.networks import encoder
from pipeline.networks.classifier import Classifier
from pipeline.networks.generator import unet
from pipeline.system.errors import PipelineError
from tests.archives import draw
from tests.painters import COLOURISER

FAMILIES = ["timm/resnet18", "timm/efficientnet_lite0", "timm/convnext_atto", "timm/mobilenetv3_small_050"]
SMALLEST = ["timm/test_resnet", "timm/test_efficientnet", "timm/test_convnext", "timm/mobilenetv3_small_050"]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_a_classifier_on_a_network_of_timm_is_that_network(architecture):
    network = timm.create_model(architecture.removeprefix("timm/"), num_classes=7).eval()
    classifier = Classifier(architecture, channels=3, classes=7).eval()
    places = encoder.build(architecture, channels=3).places
    weights = network.state_dict()
    for name in sorted(places, key=len):  # head.norm before head
        weights = {key.replace(f"{name}.", f"{places[name]}.") if key.startswith(f"{name}.") else key: tensor
                   for key, tensor in weights.items()}  # fmt: skip
    classifier.load_state_dict(weights)
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(classifier(x), network(x))
        torch.testing.assert_close(classifier.head(classifier.features(x)), network(x))


@pytest.mark.parametrize("architecture", SMALLEST)
@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_a_unet_on_a_network_of_timm_paints_at_any_size_and_sees_details(architecture, size):
    network = unet(architecture).eval()
    nn.init.normal_(network.layers[-1].weight)
    l = torch.zeros(2, 1, *size)  # noqa: E741
    l[1, 0, 12, 16] = 1
    with torch.inference_mode():
        painted = network(l)
    assert painted.shape == (2, 2, *size)
    difference = (painted[1] - painted[0]).abs().sum(0)
    assert difference[12, 16] > difference.mean()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing", "those of timm"),
        ("test_vit", "smaller by 16, 16"),
        ("swin_tiny_patch4_window7_224", "allowed: networks whose layers form a chain"),
        ("test_byobnet", "whose last features are no layer's"),
    ],
)
def test_what_can_be_no_encoder_is_refused_in_one_line(name, reason):
    with pytest.raises(PipelineError, match=f"^architecture: given timm/{name}.*{reason}") as caught:
        encoder.build(f"timm/{name}", channels=1)
    assert "\n" not in str(caught.value)


def test_pictures_that_are_too_small_are_refused_before_training():
    encoder.check_side("vgg8", 16)
    encoder.check_side("timm/test_convnext", 32)
    with pytest.raises(PipelineError, match=r"^given pictures of 16 pixels, allowed for timm/test_convnext: 32 "):
        encoder.check_side("timm/test_convnext", 16)


class PowerCut(Exception):
    pass


class Cut(Callback):
    """Ends training in the second epoch."""

    order = 95

    def before_batch(self):
        if self.epoch == 1:
            raise PowerCut("power cut")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """params.yaml with an epoch of everything, and two of the U-Net; data of sixteen pictures."""
    checked = params.load()
    few = {"epochs": 1, "batch_size": 8}
    classifiers = checked.pretrain.model_copy(update={"encoder": checked.pretrain.encoder.model_copy(update=few)})
    short = checked.unet.model_copy(update={"epochs": 2, "batch_size": 8})
    monkeypatch.chdir(tmp_path)
    split = store.Split(*draw(16, 32, np.random.default_rng(0)))
    for role in ("encoder", "target"):
        about = {"name": "stripes", "classes": list("abcdefghij")}
        store.write(tmp_path / "data" / role, about, {"train": split, "validation": split})
    return checked.model_copy(update={"pretrain": classifiers, "unet": short})


@pytest.mark.parametrize("architecture", SMALLEST)
def test_on_an_encoder_of_timm_a_unet_is_trained_and_goes_on(settings, tmp_path, monkeypatch, capsys, architecture):
    chosen = settings.pretrain.encoder.model_copy(update={"architecture": architecture})
    settings = settings.model_copy(update={"pretrain": settings.pretrain.model_copy(update={"encoder": chosen})})
    pretrain.run("encoder", settings)
    assert len(pd.read_csv(tmp_path / "plots/encoder.csv")) == 1

    train_unet.run(settings)
    file = tmp_path / "models/unet.safetensors"
    whole = file.read_bytes()
    train = train_unet.train
    monkeypatch.setattr(train_unet, "train", lambda *arguments: train(*arguments, Cut()))
    with pytest.raises(PowerCut):
        train_unet.run(settings)
    monkeypatch.setattr(train_unet, "train", train)
    capsys.readouterr()
    train_unet.run(settings)
    assert capsys.readouterr().out.startswith("going on in epoch 1/2, after batch 2/2\n")
    assert file.read_bytes() == whole
    _, about = saved.load(file, "colouriser")
    assert (about["architecture"], about["encoder"]) == (architecture, "stripes")

    halved = settings.unet.model_copy(update={"half_size": 0.5})
    with pytest.raises(PipelineError, match=rf"^given pictures of 16 pixels, allowed for {architecture}: 32 pixels "):
        train_unet.run(settings.model_copy(update={"unet": halved}))


@pytest.mark.parametrize("architecture", SMALLEST)
def test_a_unet_on_an_encoder_of_timm_is_exported_and_colourises(tmp_path, architecture):
    torch.manual_seed(0)
    network, file = unet(architecture), tmp_path / "unet.safetensors"
    nn.init.normal_(network.layers[-1].weight, 0, 0.1)
    saved.save(file, network, **COLOURISER | {"architecture": architecture})
    export.run(str(file), None)  # which sees that both compute the same
    assert architecture in (tmp_path / "unet.onnx.md").read_text(encoding="utf-8")
    grey = Image.fromarray(draw(1, 40, np.random.default_rng(1))[0][0]).convert("L")
    coloured = [np.asarray(Colouriser.load(file.with_suffix(kind))(grey), int) for kind in (".onnx", ".safetensors")]
    assert np.abs(coloured[0] - coloured[1]).max() <= 1
    assert np.ptp(coloured[0], axis=2).any()
